"""An operator takes a server out of service by a key, and puts it back."""

from cases.outage import _reads, _under_load
from harness.registry import case
from harness.resp import RespError
from harness.wait import equal, eventually, true

_KEY = "nearcached:maintenance"
_UPSTREAM = {"maintenance_key": _KEY, "health_interval": "100ms"}


def _active(daemon):
    return daemon.metrics().total("nearcached_upstream_maintenance") == 1


@case
def a_server_in_maintenance_gets_no_requests_until_the_key_is_gone(env):
    redis, daemon = env.stack({"upstream": _UPSTREAM})
    with redis.connect() as direct, daemon.connect() as conn, daemon.connect() as begun:
        conn.cmd("SET", "k", "v")
        daemon.wait_filling(redis)
        conn.cmd("GET", "k")
        equal(conn.cmd("GET", "k"), b"v")
        equal(begun.cmd("MULTI"), b"OK")
        direct.cmd("SET", _KEY, "1")
        eventually(lambda: _active(daemon), "it is noticed")
        reply = conn.cmd("SET", "k", "w")
        true(isinstance(reply, RespError) and f"'{_KEY}' exists" in str(reply), f"refused: {reply}")
        equal(begun.cmd("INCR", "n"), b"QUEUED")
        equal(begun.cmd("EXEC"), [1])
        true("in maintenance" in str(begun.cmd("MULTI")), "the next does not begin")
        true("maintenance" in str(conn.cmd("NEARCACHE", "UPSTREAMS")), "people can see it")
        equal(direct.cmd("GET", "k"), b"v")
        direct.cmd("DEL", _KEY)
        eventually(lambda: conn.cmd("SET", "k", "after") == b"OK", "it is served again")
        equal(conn.cmd("GET", "k"), b"after")
        true(not _active(daemon), "the gauge says so")


@case
def maintenance_shorter_than_max_hold_is_a_pause_under_load(env):
    redis, daemon = env.stack({"upstream": {**_UPSTREAM, "max_hold": "20s"}})
    with redis.connect() as direct:
        for i in range(20):
            direct.cmd("SET", f"k{i}", "v")

        def during():
            for _ in range(3):
                direct.cmd("SET", _KEY, "1", "PX", "500")
                eventually(lambda: _active(daemon), "it is noticed")
                eventually(lambda: not _active(daemon), "it has expired")

        errors, slowest = _under_load(daemon, 8, during, _reads)
    equal(errors, [])
    true(slowest < 10, f"the longest wait was {slowest:.2f} s")
