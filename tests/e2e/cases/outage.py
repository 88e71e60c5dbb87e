"""The upstream is away for a while: the circuit breaker, and requests that are held meanwhile."""

import signal
import threading
import time

from cases.l1 import warm
from harness.registry import case
from harness.resp import RespError
from harness.wait import equal, eventually, true

_QUICK = {"breaker_failures": 3, "reconnect_delay_min": "10ms", "reconnect_delay_max": "100ms"}


def _breaker(daemon, state):
    return daemon.metrics().total("nearcached_upstream_breakers", state=state)


@case
def the_circuit_breaker_opens_says_so_and_closes_when_the_server_is_back(env):
    redis, daemon = env.stack({"upstream": _QUICK})
    equal(_breaker(daemon, "closed"), 1)
    with daemon.connect() as conn:
        redis.kill()
        eventually(lambda: "circuit breaker open" in str(conn.cmd("SET", "k", "v")),
                   "the error names the circuit breaker")
        eventually(lambda: _breaker(daemon, "open") == 1, "it is said to be open")
        equal(_breaker(daemon, "closed"), 0)
        equal(daemon.metrics().total("nearcached_upstream_breaker_opened_total"), 1)
        redis.start()
        eventually(lambda: conn.cmd("SET", "k", "after") == b"OK", "it is served again")
        eventually(lambda: _breaker(daemon, "closed") == 1, "the breaker closes")
        equal(conn.cmd("GET", "k"), b"after")
    daemon.wait_filling(redis)


@case
def a_frozen_server_opens_the_circuit_breaker_and_its_first_answer_closes_it(env):
    redis, daemon = env.stack(
        {"upstream": {**_QUICK, "command_timeout": "200ms", "connect_timeout": "200ms"}})
    redis.signal(signal.SIGSTOP)
    try:
        conns = [daemon.connect() for _ in range(6)]
        for conn in conns:
            conn.send_cmd("SET", "k", "v")
        for conn in conns:
            true(isinstance(conn.read(), RespError), "no timeout")
        eventually(lambda: _breaker(daemon, "closed") == 0, "the breaker opens")
        eventually(lambda: "circuit breaker open" in str(conns[0].cmd("SET", "k", "v")),
                   "requests are refused at once")
    finally:
        redis.signal(signal.SIGCONT)
    eventually(lambda: conns[0].cmd("SET", "k", "after") == b"OK", "it is served again")
    eventually(lambda: _breaker(daemon, "closed") == 1, "the breaker closes")
    equal(conns[1].cmd("GET", "k"), b"after")


def _mixed(number, i):
    return (("SET", f"w{number}", str(i)), ("LLEN", f"l{number}"), ("GET", f"k{i % 20}"))


def _reads(number, i):
    return (("LLEN", f"l{number}"), ("GET", f"k{i % 20}"), ("HGETALL", f"h{i % 20}"),
            ("MGET", f"k{i % 20}", f"k{(i + 7) % 20}"), ("LRANGE", f"l{number}", "0", "-1"))


def _under_load(daemon, clients, during, load=_mixed):
    """Runs `during` under load of `clients`: what went wrong, and the longest wait of all."""
    done = threading.Event()
    errors, slowest = [], []

    def work(number):
        longest = 0.0
        with daemon.connect() as conn:
            i = 0
            while not done.is_set():
                i += 1
                started = time.monotonic()
                commands = load(number, i)
                for command, reply in zip(commands, conn.pipeline(*commands)):
                    if isinstance(reply, RespError):
                        errors.append((command[0], reply.text))
                longest = max(longest, time.monotonic() - started)
        slowest.append(longest)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    try:
        during()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    equal(len(slowest), clients, "a client died")
    return errors, max(slowest)


@case
def a_restart_within_max_hold_is_a_pause_for_requests_and_no_error(env):
    redis, daemon = env.stack({"upstream": {**_QUICK, "max_hold": "20s"}})

    def restart():
        for _ in range(3):
            redis.kill()
            time.sleep(0.3)  # an outage is time that passes
            redis.start()
            with daemon.connect() as conn:
                equal(conn.cmd("SET", "other", "1"), b"OK")

    clients = 8
    errors, slowest = _under_load(daemon, clients, restart)
    env.note(f"3 restarts, {clients} clients: {len(errors)} errors, longest wait {slowest:.2f} s")
    # What was on its way when the server died may have been carried out: that is said, once each.
    true(len(errors) <= 3 * 3 * clients, f"{len(errors)} errors: {errors[:5]}")
    for command, text in errors:
        true("may or may not have run" in text, f"{command}: {text}")
    true(daemon.metrics().total("nearcached_requests_held_total") > 0, "nothing was held")


@case
def an_outage_longer_than_max_hold_fails_who_waited_and_then_at_once(env):
    redis, daemon = env.stack({"upstream": {**_QUICK, "max_hold": "300ms"}})
    with daemon.connect() as conn:
        redis.kill()
        eventually(lambda: daemon.metrics().total("nearcached_upstream_up") == 0, "it is noticed")
        true(isinstance(conn.cmd("SET", "k", "v"), RespError), "a write without a server")
        held = daemon.metrics().total("nearcached_requests_held_total")
        for _ in range(20):
            true("is unavailable" in conn.cmd("SET", "k", "v").text, "not refused")
        equal(daemon.metrics().total("nearcached_requests_held_total"), held)
        redis.start()
        eventually(lambda: conn.cmd("SET", "k", "v") == b"OK", "it is served again")


def _retried(daemon):
    metrics = daemon.metrics()
    return (metrics.total("nearcached_upstream_reads_retried_total"),
            metrics.total("nearcached_upstream_retried_reads_ended_total", result="answered"),
            metrics.total("nearcached_upstream_retried_reads_ended_total", result="failed"))


@case(timeout=60)
def who_only_reads_notices_nothing_when_every_link_is_killed(env):
    redis, daemon = env.stack({"rules": [{"prefix": "k", "ttl": "50ms"}]})

    def kill():
        for _ in range(4):
            time.sleep(1.2)  # a link that is lost within a second of its making repeats nothing
            redis.cmd("CLIENT", "KILL", "TYPE", "normal")

    clients = 8
    errors, slowest = _under_load(daemon, clients, kill, _reads)
    retried, answered, failed = _retried(daemon)
    env.note(f"4 x all links killed, {clients} readers: {len(errors)} errors, {retried:.0f} reads sent "
             f"once more, longest wait {slowest:.2f} s")
    equal(errors, [], "errors of readers")
    true(retried > 0, "nothing was on its way: the case shows nothing")
    equal((answered, failed), (retried, 0))


@case
def who_only_reads_notices_nothing_of_a_restart_within_max_hold(env):
    redis, daemon = env.stack({"upstream": {**_QUICK, "max_hold": "20s"}})

    def restart():
        for _ in range(3):
            time.sleep(0.2)
            redis.kill()
            time.sleep(0.3)
            redis.start()
            with daemon.connect() as conn:
                equal(conn.cmd("SET", "other", "1"), b"OK")

    errors, slowest = _under_load(daemon, 8, restart, _reads)
    env.note(f"3 restarts, 8 readers: {len(errors)} errors, {_retried(daemon)[0]:.0f} reads sent once "
             f"more, longest wait {slowest:.2f} s")
    equal(errors, [], "errors of readers")


@case
def a_write_is_never_sent_twice(env):
    redis, daemon = env.stack()
    acknowledged, unknown = [0], [0]
    done = threading.Event()

    def count():
        with daemon.connect() as conn:
            while not done.is_set():
                for reply in conn.pipeline(*[("INCR", "n")] * 20):
                    (unknown if isinstance(reply, RespError) else acknowledged)[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    for _ in range(6):
        time.sleep(0.3)
        redis.cmd("CLIENT", "KILL", "TYPE", "normal")
    done.set()
    thread.join()
    value = int(redis.cmd("GET", "n"))
    env.note(f"{acknowledged[0]} acknowledged, {unknown[0]} unknown, {value} counted")
    true(acknowledged[0] <= value <= acknowledged[0] + unknown[0], "a write was lost or repeated")


@case
def what_was_in_memory_is_served_through_an_outage_but_nothing_older_afterwards(env):
    redis, daemon = env.stack({"upstream": _QUICK,
                               "l1": {"ttl": "60s", "stale_if_error": "20s"},
                               "rules": [{"prefix": "fresh:", "stale_if_error": "0"}]})
    keys = [f"k{i}" for i in range(20)]
    with daemon.connect() as conn, daemon.connect() as other:
        for key in [*keys, "fresh:k"]:
            conn.cmd("SET", key, "old")
        warm(redis, conn, *keys, "fresh:k")
        redis.kill()
        eventually(lambda: isinstance(other.cmd("LLEN", "x"), RespError), "it is noticed")
        equal(set(conn.pipeline(*[("GET", key) for key in keys])), {b"old"})
        equal(conn.cmd("MGET", "k1", "k2"), [b"old", b"old"])
        true(isinstance(conn.cmd("GET", "fresh:k"), RespError), "a rule of its own")
        true(isinstance(conn.cmd("GET", "never read"), RespError), "what was not in memory")
        true(isinstance(other.cmd("SET", "k3", "new"), RespError), "a write without a server")
        true(isinstance(conn.cmd("GET", "k3"), RespError), "a key that somebody tried to write")
        equal(daemon.metrics().total("nearcached_stale_served_total"), len(keys) + 2)
        redis.start()
        for key in keys:
            redis.cmd("SET", key, "new")
        eventually(lambda: other.cmd("LLEN", "x") == 0, "it is connected again")
        equal(set(conn.pipeline(*[("GET", key) for key in keys])), {b"new"})
        equal(daemon.metrics().total("nearcached_stale_served_total"), len(keys) + 2)


@case
def a_frozen_server_has_its_values_served_once_the_circuit_breaker_is_open(env):
    redis, daemon = env.stack(
        {"upstream": {**_QUICK, "command_timeout": "200ms", "connect_timeout": "200ms",
                      "health_interval": "100ms"},
         "l1": {"ttl": "60s", "stale_if_error": "20s"}})
    with daemon.connect() as conn, daemon.connect() as other:
        conn.cmd("SET", "k", "v")
        warm(redis, conn, "k")
        redis.signal(signal.SIGSTOP)
        try:
            eventually(lambda: "circuit breaker open" in str(other.cmd("SET", "x", "y")),
                       "requests are refused")
            eventually(lambda: daemon.metrics().total("nearcached_tracking_state") == 0,
                       "the fill link is given up")
            equal(conn.cmd("GET", "k"), b"v")
            true(daemon.metrics().total("nearcached_stale_served_total") > 0, "not from the shelf")
        finally:
            redis.signal(signal.SIGCONT)
        eventually(lambda: other.cmd("SET", "k", "v2") == b"OK", "it is served again")
        equal(conn.cmd("GET", "k"), b"v2")
