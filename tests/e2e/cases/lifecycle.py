"""Signals: drain, stop, reload."""

import os
import signal

from cases.l1 import warm
from harness.metrics import http_get
from harness.registry import case
from harness.resp import Conn, RespError, encode
from harness.wait import equal, eventually, true


def _refuses(daemon):
    try:
        with Conn(daemon.port) as conn:
            return conn.read_to_end() is not None and _no_service(daemon)
    except OSError:
        return True


def _no_service(daemon):
    try:
        with Conn(daemon.port) as conn:
            conn.send(encode("PING"))
            return not conn.read_to_end(7).startswith(b"+PONG")
    except OSError:
        return True


@case
def sigterm_without_clients_ends_at_once_with_zero(env):
    redis, daemon = env.stack()
    daemon.may_be_gone = True
    equal(daemon.stop(timeout=10), 0)
    true(not os.path.exists(daemon.unix), "the socket file is left")


@case
def sigterm_lets_what_is_under_way_finish_and_takes_nothing_new(env):
    redis, daemon = env.stack({"drain": {"timeout": "20s"}, "upstream": {"command_timeout": "30s"}})
    daemon.may_be_gone = True
    with daemon.connect() as waiting, daemon.connect() as idle:
        waiting.cmd("SET", "k", "value")
        redis.signal(signal.SIGSTOP)
        waiting.send_cmd("STRLEN", "k")
        with daemon.connect() as barrier:
            barrier.cmd("NEARCACHE", "STATS")
        daemon.signal(signal.SIGTERM)
        eventually(lambda: _no_service(daemon), "new clients are not taken")
        true(daemon.alive(), "it ended although a request is under way")
        equal(http_get(daemon.metrics_port, "/metrics")[0], 200, "/metrics during the drain")
        equal(http_get(daemon.metrics_port, "/liveness")[0], 200)
        equal(http_get(daemon.metrics_port, "/readiness")[0], 503)
        redis.signal(signal.SIGCONT)
        equal(waiting.read(), 5)
        equal(waiting.read_to_end(), b"")
        equal(idle.read_to_end(), b"")
        equal(daemon.wait_exit(), 0)


@case
def a_blocked_command_does_not_hold_up_the_drain(env):
    redis, daemon = env.stack({"drain": {"timeout": "20s"}})
    daemon.may_be_gone = True
    with daemon.connect() as blocked:
        blocked.send_cmd("BLPOP", "q", 0)
        eventually(lambda: int(redis.info("blocked_clients")) == 1, "the pop blocks")
        daemon.signal(signal.SIGTERM)
        equal(blocked.read_to_end(), b"")
        equal(daemon.wait_exit(5), 0)
    eventually(lambda: int(redis.info("blocked_clients")) == 0, "nothing is left blocked upstream")


@case
def the_drain_ends_at_its_deadline(env):
    redis, daemon = env.stack(
        {"drain": {"timeout": "500ms"}, "upstream": {"command_timeout": "30s"}})
    daemon.may_be_gone = True
    with daemon.connect() as waiting:
        waiting.cmd("SET", "k", "v")
        redis.signal(signal.SIGSTOP)
        waiting.send_cmd("STRLEN", "k")
        with daemon.connect() as barrier:
            barrier.cmd("NEARCACHE", "STATS")
        daemon.signal(signal.SIGTERM)
        waiting.read_to_end()
        equal(daemon.wait_exit(10), 0)
        redis.signal(signal.SIGCONT)


@case
def replies_of_a_pipeline_are_complete_when_sigterm_arrives(env):
    redis, daemon = env.stack()
    daemon.may_be_gone = True
    with daemon.connect() as conn:
        conn.cmd("SET", "k", "v")
        redis.signal(signal.SIGSTOP)
        conn.send(encode("EVAL", "return ARGV[1]", 0, "x") * 50)
        with daemon.connect() as barrier:
            barrier.cmd("NEARCACHE", "STATS")
        daemon.signal(signal.SIGTERM)
        eventually(lambda: _no_service(daemon), "it drains")
        redis.signal(signal.SIGCONT)
        equal([conn.read() for _ in range(50)], [b"x"] * 50)
        equal(conn.read_to_end(), b"")
        equal(daemon.wait_exit(), 0)


@case
def sigint_ends_at_once(env):
    redis, daemon = env.stack({"drain": {"timeout": "20s"}})
    daemon.may_be_gone = True
    with daemon.connect() as blocked:
        blocked.send_cmd("BLPOP", "q", 0)
        eventually(lambda: int(redis.info("blocked_clients")) == 1, "the pop blocks")
        daemon.signal(signal.SIGINT)
        equal(daemon.wait_exit(5), 0)
        blocked.read_to_end()


@case
def a_second_signal_cuts_the_drain_short(env):
    redis, daemon = env.stack({"drain": {"timeout": "20s"}, "upstream": {"command_timeout": "30s"}})
    daemon.may_be_gone = True
    with daemon.connect() as waiting:
        waiting.cmd("SET", "k", "v")
        redis.signal(signal.SIGSTOP)
        waiting.send_cmd("STRLEN", "k")
        with daemon.connect() as barrier:
            barrier.cmd("NEARCACHE", "STATS")
        daemon.signal(signal.SIGTERM)
        eventually(lambda: _no_service(daemon), "it drains")
        daemon.signal(signal.SIGTERM)
        equal(daemon.wait_exit(5), 0)
        redis.signal(signal.SIGCONT)


def _reload(daemon, config):
    daemon.write_config(config)
    daemon.signal(signal.SIGHUP)


@case
def sighup_takes_over_what_is_reloadable(env):
    redis, daemon = env.stack()
    redis.cmd("SET", "session:1", "s")
    config = dict(daemon.config, rules=[{"prefix": "session:", "cache": False}])
    with daemon.connect() as conn:
        warm(redis, conn, "session:1")
        _reload(daemon, config)

        def forwarded():
            before = redis.calls("get")
            conn.cmd("GET", "session:1")
            return redis.calls("get") > before

        eventually(lambda: forwarded() and forwarded() and forwarded(), "the new rule holds")
        _reload(daemon, {key: value for key, value in config.items() if key != "rules"})
        eventually(lambda: not forwarded(), "the rule is gone again")
        equal(conn.cmd("PING"), b"PONG")


@case
def sighup_refuses_the_rest_and_goes_on_as_before(env):
    redis, daemon = env.stack()
    with daemon.connect() as conn:
        conn.cmd("SET", "k", "v")
        before = len(daemon.log())
        listeners = [{"address": "127.0.0.1:1"}]
        _reload(daemon, dict(daemon.config, listeners=listeners))
        eventually(lambda: "listeners" in daemon.log()[before:], "the refusal names the key")
        equal(conn.cmd("GET", "k"), b"v")
        before = len(daemon.log())
        with open(daemon.config_path, "w") as out:
            out.write("l1:\n  nonsense: 1\n")
        daemon.signal(signal.SIGHUP)
        eventually(lambda: "nonsense" in daemon.log()[before:], "the broken file is named")
        equal(conn.cmd("GET", "k"), b"v")
        os.unlink(daemon.config_path)
        daemon.signal(signal.SIGHUP)
        equal(conn.cmd("SET", "k", "w"), b"OK")
        equal(conn.cmd("GET", "k"), b"w")
    true(daemon.alive(), "gone")


@case
def sigpipe_and_sigusr1_do_not_end_it(env):
    redis, daemon = env.stack(fills=False)
    daemon.signal(signal.SIGPIPE)
    equal(daemon.cmd("PING"), b"PONG")


@case
def a_restart_loses_no_data_and_starts_cold(env):
    redis, daemon = env.stack()
    daemon.cmd("SET", "k", "v")
    config = daemon.config
    daemon.may_be_gone = True
    equal(daemon.stop(), 0)
    redis.cmd("SET", "k", "changed meanwhile")
    again = env.daemon(redis, config)
    equal(eventually(lambda: isinstance(v := again.cmd("GET", "k"), bytes) and v, "it serves"),
          b"changed meanwhile")
    true(not isinstance(again.cmd("GET", "k"), RespError), "an error")
