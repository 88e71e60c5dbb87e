"""Exclusive links: waiting for one, leaving, and nothing left over."""

import socket
import struct

from harness.registry import case
from harness.resp import RespError, encode
from harness.wait import equal, eventually, true


def _gauge(daemon, name):
    return daemon.metrics().total(f"nearcached_upstream_exclusive_{name}")


@case()
def a_client_waits_for_a_link_and_others_do_not_wait_with_it(env):
    redis, daemon = env.stack({"upstream": {"pool": {"max_active": 2, "max_wait": "20s"}}})
    first, second, third, other = (daemon.connect() for _ in range(4))
    equal(first.cmd("MULTI"), b"OK")
    equal(second.cmd("MULTI"), b"OK")
    third.send_cmd("MULTI")
    eventually(lambda: _gauge(daemon, "waiting") == 1, "the third waits")
    equal(other.cmd("SET", "k", "v"), b"OK")
    equal(other.cmd("GET", "k"), b"v")
    equal(second.pipeline(("INCR", "n"), ("EXEC",)), [b"QUEUED", [1]])
    equal(third.read(), b"OK")
    equal(third.pipeline(("INCR", "n"), ("EXEC",)), [b"QUEUED", [2]])
    equal(first.cmd("EXEC"), [])
    equal(_gauge(daemon, "waiting"), 0)


@case()
def a_blocked_client_that_sent_much_ahead_is_missed_when_it_vanishes(env):
    redis, daemon = env.stack({"upstream": {"pool": {"max_active": 1, "max_wait": "20s"}}})
    with daemon.connect() as other:
        with daemon.connect() as gone:
            gone.send(encode("BLPOP", "q", 0) + encode("SET", "a", "x" * 1000) * 200)
            eventually(lambda: _gauge(daemon, "active") == 1, "it is blocked")
        equal(other.cmd("MULTI"), b"OK")
        equal(other.cmd("DISCARD"), b"OK")
    redis.cmd("RPUSH", "q", "for nobody")
    equal(redis.cmd("LLEN", "q"), 1)


@case()
def waiters_are_served_in_order(env):
    redis, daemon = env.stack({"upstream": {"pool": {"max_active": 1, "max_wait": "60s"}}})
    holder = daemon.connect()
    equal(holder.cmd("MULTI"), b"OK")
    waiters = []
    for i in range(20):
        conn = daemon.connect()
        conn.send(encode("MULTI") + encode("RPUSH", "order", i) + encode("EXEC"))
        eventually(lambda: _gauge(daemon, "waiting") == i + 1, "it stands in line")
        waiters.append(conn)
    equal(holder.cmd("EXEC"), [])
    for i, conn in enumerate(waiters):
        equal([conn.read() for _ in range(3)], [b"OK", b"QUEUED", [i + 1]])
    equal(redis.cmd("LRANGE", "order", 0, -1), [b"%d" % i for i in range(20)])


@case()
def a_wait_that_is_too_long_is_refused_by_the_name_of_the_setting(env):
    redis, daemon = env.stack({"upstream": {"pool": {"max_active": 1, "max_wait": "200ms"}}})
    with daemon.connect() as holder, daemon.connect() as late:
        equal(holder.cmd("MULTI"), b"OK")
        reply = late.cmd("BLPOP", "q", 0)
        true(isinstance(reply, RespError) and "upstream.pool.max_wait" in reply.text, reply)
        equal(late.cmd("PING"), b"PONG")
        equal(daemon.metrics().total("nearcached_upstream_failures_total",
                                     reason="exclusive_exhausted"), 1)


@case(timeout=120)
def thousands_of_clients_that_abort_leave_nothing_behind(env):
    """At every step of the way: before the link, while waiting, in MULTI, blocked, subscribed."""
    redis, daemon = env.stack({"upstream": {"pool": {"max_active": 16, "max_wait": "20s"}}})
    says = [encode("MULTI"), encode("MULTI") + encode("INCR", "n"), encode("BLPOP", "q", 0),
            encode("SUBSCRIBE", "c"), encode("WATCH", "k") + encode("GET", "k"),
            encode("MULTI")[:9], encode("MULTI") + encode("INCR", "n") + encode("EXEC")]
    for wave in range(40):
        conns = []
        for i in range(100):
            conn = daemon.connect()
            conn.send(says[(wave + i) % len(says)])
            conns.append(conn)
        for i, conn in enumerate(conns):
            if i % 2:  # a reset instead of an orderly end
                conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            conn.close()
    eventually(lambda: _gauge(daemon, "active") == 0, "every link has come back", timeout=40)
    equal(_gauge(daemon, "waiting"), 0)
    equal(_gauge(daemon, "oldest_wait_seconds"), 0)
    true(_gauge(daemon, "idle") <= 8, "max_idle")
    eventually(lambda: daemon.metrics().total("nearcached_clients") == 0, "every client is gone")
    with daemon.connect() as conn:
        for _ in range(20):
            equal(conn.pipeline(("MULTI",), ("PING",), ("EXEC",)), [b"OK", b"QUEUED", [b"PONG"]])
