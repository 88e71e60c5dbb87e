"""A real Redis that dies, freezes, returns, or refuses tracking."""

import threading
import time

from cases.l1 import forwarded, served_locally, warm
from harness.registry import case
from harness.resp import Closed, RespError
from harness.wait import equal, eventually, true


def _echo(tag):
    """A command that only the upstream can answer, with `tag`."""
    return ("EVAL", "return ARGV[1]", 0, tag)


def _fails(conn, *command):
    reply = conn.cmd(*command)
    return isinstance(reply, RespError) and reply


@case
def a_killed_upstream_fails_fast_with_a_clear_error_and_returns_by_itself(env):
    redis, daemon = env.stack()
    with daemon.connect() as conn:
        equal(conn.cmd("SET", "k", "v"), b"OK")
        redis.kill()
        error = eventually(lambda: _fails(conn, "SET", "k", "v2"), "a write fails")
        true("upstream" in error.text.lower(), f"the error does not say what is wrong: {error}")
        started = time.monotonic()
        for _ in range(20):
            true(_fails(conn, "SET", "k", "v3"), "a write succeeded without an upstream")
        env.note(f"20 refusals took {(time.monotonic() - started) * 1000:.1f} ms")
        equal(daemon.probe("/liveness"), 200)
        equal(conn.cmd("PING"), b"PONG")
        redis.start()
        eventually(lambda: conn.cmd("SET", "k", "after") == b"OK", "it recovers by itself")
        equal(conn.cmd("GET", "k"), b"after")
    daemon.wait_filling(redis)


@case
def nothing_cached_before_a_restart_of_the_upstream_is_served_after_it(env):
    redis, daemon = env.stack()
    keys = [f"k{i}" for i in range(50)]
    with daemon.connect() as conn:
        for key in keys:
            conn.cmd("SET", key, "old")
        warm(redis, conn, *keys[:5])
        redis.kill()
        redis.start()
        for key in keys:
            redis.cmd("SET", key, "new")
        eventually(lambda: conn.cmd("SET", "other", "1") == b"OK", "it is connected again")
        eventually(lambda: conn.cmd("GET", "k0") == b"new", "the new value is seen")
        equal(set(conn.pipeline(*[("GET", key) for key in keys])), {b"new"})


@case
def a_frozen_upstream_times_out_and_late_replies_reach_nobody(env):
    redis, daemon = env.stack({"upstream": {"command_timeout": "400ms"}})
    conns = [daemon.connect() for _ in range(8)]
    for round_ in range(3):
        redis.signal(19)
        try:
            for i, conn in enumerate(conns):
                conn.send_cmd(*_echo(f"r{round_}c{i}"))
            for conn in conns:
                true(isinstance(conn.read(), RespError), "no timeout")
        finally:
            redis.signal(18)

        # Whatever was left in the queue of the frozen server is answered now; nobody may get it.
        def own_echo():
            replies = [conn.cmd(*_echo(f"again{round_}.{i}")) for i, conn in enumerate(conns)]
            for i, reply in enumerate(replies):
                if not isinstance(reply, RespError):
                    equal(reply, b"again%d.%d" % (round_, i), "a reply of somebody else's request")
            return not any(isinstance(reply, RespError) for reply in replies)

        eventually(own_echo, "all are served again", timeout=20)


@case(timeout=90)
def tagged_requests_under_timeouts_never_cross(env):
    redis, daemon = env.stack({"upstream": {"command_timeout": "150ms"}})
    done = threading.Event()
    problems = []
    answered = [0, 0]

    def ask(number):
        try:
            i = 0
            conn = daemon.connect()
            while not done.is_set():
                i += 1
                tag = f"client{number}.{i}"
                try:
                    replies = conn.pipeline(_echo(tag), ("GET", f"key{number}"),
                                            _echo(tag + "b"))
                except (Closed, ConnectionError):
                    conn = daemon.connect()
                    continue
                expected = [tag.encode(), b"value%d" % number, tag.encode() + b"b"]
                for got, want in zip(replies, expected):
                    answered[isinstance(got, RespError)] += 1
                    if not isinstance(got, RespError) and got != want:
                        problems.append((tag, got, want))
        except BaseException as error:
            problems.append(repr(error))

    for number in range(6):
        redis.cmd("SET", f"key{number}", f"value{number}")
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for i in range(12):
        with redis.connect() as conn:
            conn.cmd("DEBUG", "SLEEP", "0.25" if i % 2 else "0.12")
    done.set()
    for thread in threads:
        thread.join()
    equal(problems[:5], [], f"{len(problems)} replies went to the wrong request")
    env.note(f"{answered[0]} answered, {answered[1]} timed out")
    true(answered[0] and answered[1], "the timeouts were not exercised")
    with daemon.connect() as conn:
        eventually(lambda: conn.cmd(*_echo("x")) == b"x", "it recovers")


@case
def a_warm_read_is_answered_while_the_upstream_stands_still(env):
    redis, daemon = env.stack({"upstream": {"health_interval": "10s"}})
    redis.cmd("SET", "k", "v")
    with daemon.connect() as conn, daemon.connect() as stuck:
        warm(redis, conn, "k")
        redis.signal(19)
        try:
            stuck.send_cmd("GET", "cold")
            for _ in range(100):
                equal(conn.cmd("GET", "k"), b"v")
        finally:
            redis.signal(18)
        equal(stuck.read(), None)


@case
def client_kill_of_every_link_is_survived_without_a_stale_read(env):
    redis, daemon = env.stack()
    with daemon.connect() as conn, redis.connect() as upstream:
        for round_ in range(8):
            redis.cmd("SET", "k", f"old{round_}")
            eventually(lambda: conn.cmd("GET", "k") == b"old%d" % round_, "the value is seen")
            warm(redis, conn, "k")
            upstream.cmd("CLIENT", "KILL", "TYPE", "normal")
            upstream.cmd("SET", "k", f"new{round_}")
            eventually(lambda: conn.cmd("GET", "k") == b"new%d" % round_,
                       "after the loss of the links the new value is seen")
            eventually(lambda: conn.cmd("SET", "other", "1") == b"OK", "writes work again")
    daemon.wait_filling(redis)


@case
def a_write_in_flight_when_its_link_dies_gets_an_error_not_silence(env):
    redis, daemon = env.stack()
    with daemon.connect() as conn:
        redis.signal(19)
        conn.send_cmd("SET", "k", "v")
        with daemon.connect() as barrier:
            barrier.cmd("NEARCACHE", "STATS")
        redis.kill()
        true(isinstance(conn.read(), RespError), "no error")
        redis.start()
        eventually(lambda: conn.cmd("SET", "k", "v") == b"OK", "it recovers")


@case
def the_daemon_starts_without_its_upstream_and_finds_it_later(env):
    redis = env.redis(start=False)
    daemon = env.daemon(redis)
    with daemon.connect() as conn:
        true(_fails(conn, "GET", "k"), "a read succeeded without an upstream")
        equal(daemon.probe("/liveness"), 200)
        redis.start()
        eventually(lambda: conn.cmd("SET", "k", "v") == b"OK", "it finds the upstream")
    daemon.wait_filling(redis)
    eventually(lambda: daemon.probe("/readiness") == 200, "it is ready")
    eventually(lambda: daemon.probe("/startup") == 200, "it has started")


def _loud(daemon):
    """What the daemon says of its tracking, everywhere it should."""
    return "\n".join((daemon.log(), repr(daemon.cmd("NEARCACHE", "STATS")), daemon.metrics().text))


def _ttl_only(env, redis):
    daemon = env.daemon(redis, {"rules": [{"prefix": "asked:", "ttl": "60s"}]})
    daemon.wait_ready()
    redis.cmd("MSET", "asked:1", "a", "plain", "p")
    with daemon.connect() as conn:
        forwarded(redis, conn, "GET", "plain", times=10)
        warm(redis, conn, "asked:1")
        served_locally(redis, conn, "GET", "asked:1", expected=b"a")
        equal(conn.cmd("SET", "asked:1", "mine"), b"OK")
        equal(conn.cmd("GET", "asked:1"), b"mine", "the own write is not seen at once")
    true("ttl" in _loud(daemon).lower(), "nobody says that this is TTL-only mode")
    return daemon


@case
def tracking_refused_by_acl_means_ttl_only_said_loudly(env):
    redis = env.redis()
    redis.cmd("ACL", "SETUSER", "default", "-client|tracking")
    _ttl_only(env, redis)


@case
def a_server_without_the_client_command_means_ttl_only_said_loudly(env):
    redis = env.redis("--rename-command", "CLIENT", "")
    daemon = env.daemon(redis, {"rules": [{"prefix": "asked:", "ttl": "60s"}]})
    daemon.wait_ready()
    redis.cmd("SET", "plain", "p")
    with daemon.connect() as conn:
        forwarded(redis, conn, "GET", "plain", times=10)
    true("ttl" in _loud(daemon).lower(), "nobody says that this is TTL-only mode")


@case
def tracking_switched_off_by_config_means_ttl_only(env):
    redis = env.redis()
    daemon = env.daemon(redis, {"tracking": {"mode": "off"},
                                "rules": [{"prefix": "asked:", "ttl": "60s"}]})
    daemon.wait_ready()
    redis.cmd("MSET", "asked:1", "a", "plain", "p")
    with daemon.connect() as conn:
        forwarded(redis, conn, "GET", "plain", times=10)
        warm(redis, conn, "asked:1")
    true(all("t" not in row["flags"] for row in redis.clients()), "a link is tracking")


@case
def tracking_required_but_refused_means_nothing_is_cached(env):
    redis = env.redis()
    redis.cmd("ACL", "SETUSER", "default", "-client|tracking")
    daemon = env.daemon(redis, {"tracking": {"mode": "required"},
                                "rules": [{"prefix": "asked:", "ttl": "60s"}]})
    daemon.wait_ready()
    redis.cmd("MSET", "asked:1", "a", "plain", "p")
    with daemon.connect() as conn:
        forwarded(redis, conn, "GET", "plain", times=5)
        forwarded(redis, conn, "GET", "asked:1", times=5)


@case
def the_tracking_table_overflowing_costs_hits_not_truth(env):
    redis, daemon = env.stack(None, "--tracking-table-max-keys", "20")
    with daemon.connect() as conn, redis.connect() as upstream:
        for version in range(5):
            for i in range(200):
                upstream.cmd("SET", f"k{i}", f"{version}.{i}")
            for i in range(200):
                eventually(lambda: conn.cmd("GET", f"k{i}") == b"%d.%d" % (version, i), f"k{i}",
                           step=0.001)


@case
def a_paused_upstream_delays_and_then_answers(env):
    redis, daemon = env.stack()
    with daemon.connect() as conn, redis.connect() as upstream:
        upstream.cmd("CLIENT", "PAUSE", 300, "WRITE")
        equal(conn.cmd("SET", "k", "v"), b"OK")
        equal(conn.cmd("GET", "k"), b"v")


@case
def errors_of_the_server_pass_as_they_are(env):
    redis, daemon = env.stack()
    with daemon.connect() as conn, redis.connect() as upstream:
        upstream.cmd("CONFIG", "SET", "maxmemory", "1")
        reply = conn.cmd("SET", "k", "v" * 1000)
        true(isinstance(reply, RespError) and reply.text.startswith("OOM"), reply)
        upstream.cmd("CONFIG", "SET", "maxmemory", "0")
        upstream.cmd("CONFIG", "SET", "min-replicas-to-write", "1")
        reply = conn.cmd("SET", "k", "v")
        true(isinstance(reply, RespError) and reply.text.startswith("NOREPLICAS"), reply)
        upstream.cmd("CONFIG", "SET", "min-replicas-to-write", "0")
        equal(conn.cmd("SET", "k", "v"), b"OK")
        equal(conn.cmd("GET", "k"), b"v")


@case(full=True)
def repeated_kills_and_restarts_under_load_never_show_a_version_going_back(env):
    redis, daemon = env.stack()
    done = threading.Event()
    problems = []

    def read():
        conn = daemon.connect()
        seen = 0
        while not done.is_set():
            try:
                reply = conn.cmd("GET", "v")
            except (Closed, ConnectionError) as error:
                problems.append(repr(error))
                return
            if isinstance(reply, bytes):
                if int(reply) < seen:
                    problems.append((seen, reply))
                seen = int(reply)

    redis.cmd("SET", "v", 1)
    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    version = 1
    for _ in range(6):
        for _ in range(100):
            version += 1
            redis.cmd("SET", "v", version)
        redis.kill()
        redis.start()
        # A restart loses the data: write the newest version before anybody may look.
        version += 1
        redis.cmd("SET", "v", version)
        with daemon.connect() as conn:
            eventually(lambda: conn.cmd("SET", "w", "1") == b"OK", "it recovers")
    done.set()
    for thread in threads:
        thread.join()
    equal(problems[:5], [])
