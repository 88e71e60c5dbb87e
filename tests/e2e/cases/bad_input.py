"""What a hostile or broken client may send: an error or a close as Redis does it, nobody disturbed."""

import socket
import threading

from harness.env import sanitized
from harness.registry import case
from harness.resp import Closed, RespError, encode
from harness.wait import equal, eventually, true

# Bytes, and what redis-server answers before it closes the connection.
_REFUSED = [
    (b"*-1000000000000000000000\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"*abc\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"*1x\r\n$4\r\nPING\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"*2147483648\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"*99999999999999999999\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"*1\r\n$-5\r\nPING\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    (b"*1\r\n$abc\r\nPING\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    (b"*1\r\n$99999999999999999999\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    (b"*1\r\n$1099511627776\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    (b"*1\r\nPING\r\n", b"-ERR Protocol error: expected '$', got 'P'\r\n"),
    (b"*2\r\n*1\r\n$4\r\nPING\r\n", b"-ERR Protocol error: expected '$', got '*'\r\n"),
    (b"*1\r\n:5\r\n", b"-ERR Protocol error: expected '$', got ':'\r\n"),
    (b'GET "unbalanced\r\n', b"-ERR Protocol error: unbalanced quotes in request\r\n"),
    (b"x" * 70_000, b"-ERR Protocol error: too big inline request\r\n"),
    (b"*" + b"1" * 70_000, b"-ERR Protocol error: too big mbulk count string\r\n"),
    (b"*1\r\n$" + b"1" * 70_000, b"-ERR Protocol error: too big bulk count string\r\n"),
]

# Accepted as nothing, as Redis does: an empty or negative multibulk is no command at all.
_NOTHING = [b"*0\r\n", b"*-1\r\n", b"\r\n", b"\n", b"*-5\r\n"]


def _sends(conn, data):
    """The peer may close before it has read all: then the rest does not matter."""
    try:
        conn.send(data)
    except (BrokenPipeError, ConnectionResetError):
        pass


@case(direct=True)
def malformed_requests_are_refused_as_redis_refuses_them(env):
    redis = env.redis()
    daemon = env.daemon(redis)
    daemon.wait_ready()
    with daemon.connect() as bystander:
        for data, expected in _REFUSED:
            for before in (b"", encode("PING")):
                with daemon.connect() as conn:
                    _sends(conn, before + data)
                    got = conn.read_to_end()
                    equal(got, (b"+PONG\r\n" if before else b"") + expected, f"to {data[:60]!r}")
            equal(bystander.cmd("PING"), b"PONG")


@case(direct=True)
def malformed_requests_cut_anywhere_are_refused_alike(env):
    daemon = env.daemon(env.redis())
    daemon.wait_ready()
    for data, expected in _REFUSED:
        if len(data) > 1000:
            continue
        for cut in range(1, len(data)):
            with daemon.connect() as conn:
                _sends(conn, data[:cut])
                _sends(conn, data[cut:])
                equal(conn.read_to_end(), expected, f"{data!r} cut at {cut}")


@case(direct=True)
def empty_requests_are_nothing(env):
    daemon = env.daemon(env.redis())
    with daemon.connect() as conn:
        for data in _NOTHING:
            conn.send(data * 3 + encode("PING", "after"))
            equal(conn.read(), b"after", f"after {data!r}")


@case(direct=True)
def an_empty_command_name_is_an_unknown_command(env):
    daemon = env.daemon(env.redis())
    daemon.wait_ready()
    with daemon.connect() as conn:
        reply = conn.cmd("")
        true(isinstance(reply, RespError) and "unknown command" in reply.text, reply)
        reply = conn.cmd(b"\x00\xff\r\n")
        true(isinstance(reply, RespError) and "unknown command" in reply.text, reply)
        true(b"\n" not in reply.text.encode(), "the error line was split by the name")
        reply = conn.cmd("x" * 100_000)
        true(isinstance(reply, RespError) and len(reply.text) < 1000, "the name came back whole")
        equal(conn.cmd("PING"), b"PONG")


@case(direct=True)
def a_million_arguments_are_served_or_refused_within_bounds(env):
    redis = env.redis()
    daemon = env.daemon(redis)
    daemon.wait_ready()
    before = daemon.rss_bytes()
    request = b"*1000001\r\n$3\r\nDEL\r\n" + b"$1\r\na\r\n" * 1_000_000
    with daemon.connect(timeout=40) as conn, daemon.connect() as bystander:
        sender = threading.Thread(target=_sends, args=(conn, request))
        sender.start()
        equal(bystander.cmd("PING"), b"PONG")
        reply = conn.read()
        sender.join()
        true(reply == 0 or isinstance(reply, RespError), reply)
    grown = daemon.rss_bytes() - before
    env.note(f"a DEL of a million keys: RSS grew by {grown / 1e6:.1f} MB")
    true(grown < (2e9 if not env.direct and sanitized() else 250e6), f"RSS grew by {grown}")


@case
def more_arguments_than_the_limit_are_refused(env):
    redis, daemon = env.stack({"limits": {"args_max": 1000}}, fills=False)
    daemon.wait_ready()
    with daemon.connect() as conn:
        equal(conn.cmd("DEL", *["x"] * 999), 0)
        _sends(conn, b"*1001\r\n$3\r\nDEL\r\n" + b"$1\r\na\r\n" * 1000)
        equal(conn.read_to_end(), b"-ERR Protocol error: invalid multibulk length\r\n")
    equal(daemon.cmd("PING"), b"PONG")


@case
def a_bulk_beyond_the_limit_is_refused_before_it_is_read(env):
    redis, daemon = env.stack({"limits": {"bulk_bytes_max": "1mb", "request_bytes_max": "2mb"}},
                              fills=False)
    daemon.wait_ready()
    with daemon.connect() as conn:
        equal(conn.cmd("SET", "k", b"x" * (1 << 20)), b"OK")
        conn.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048577\r\n")
        equal(conn.read_to_end(), b"-ERR Protocol error: invalid bulk length\r\n")
    with daemon.connect() as conn:
        _sends(conn, encode("MSET", *[f"{i}" if i % 2 == 0 else "x" * 900_000 for i in range(8)]))
        true(conn.read_to_end().startswith(b"-ERR"), "a request beyond the limit was served")
    equal(daemon.cmd("GET", "0"), None)


@case
def an_endless_inline_line_is_cut_at_the_limit(env):
    redis, daemon = env.stack(None, fills=False)
    before = daemon.rss_bytes()
    with daemon.connect() as conn:
        try:
            for _ in range(1000):
                conn.send(b"y" * 65536)
        except (BrokenPipeError, ConnectionResetError):
            pass
    grown = daemon.rss_bytes() - before
    true(grown < 60e6, f"RSS grew by {grown}")
    equal(daemon.cmd("PING"), b"PONG")


@case
def half_a_command_and_then_silence_is_closed_after_the_request_timeout(env):
    redis, daemon = env.stack({"limits": {"request_timeout": "300ms"}}, fills=False)
    daemon.wait_ready()
    with daemon.connect() as half, daemon.connect() as idle:
        half.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\nabc")
        half.read_to_end()
        equal(idle.cmd("PING"), b"PONG", "a client between commands was closed too")


@case(direct=True)
def half_a_command_disturbs_nobody(env):
    redis = env.redis()
    daemon = env.daemon(redis)
    daemon.wait_ready()
    halves = []
    for i in range(200):
        conn = daemon.connect()
        conn.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\n" + b"x" * (i * 4))
        halves.append(conn)
    for i in range(100):
        equal(daemon.cmd("SET", f"k{i}", i), b"OK")
    for conn in halves:
        conn.close()
    equal(redis.cmd("EXISTS", "k"), 0)


@case(direct=True)
def nested_arrays_and_other_types_as_requests_are_refused(env):
    daemon = env.daemon(env.redis())
    for data in (b"*1\r\n" * 50_000, b"%1\r\n+a\r\n+b\r\n", b"~1\r\n+a\r\n", b">1\r\n+a\r\n",
                 b"+OK\r\n", b"-ERR x\r\n", b":1\r\n", b"_\r\n", b"$4\r\nPING\r\n",
                 b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", b"Host: x\r\n\r\n", b"\x16\x03\x01\x02\x00",
                 bytes(range(256)) * 10, b"\x00" * 100_000):
        with daemon.connect() as conn:
            _sends(conn, data)
            try:
                conn.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            conn.read_to_end()
        equal(daemon.cmd("PING"), b"PONG", f"after {data[:40]!r}")


@case(direct=True)
def cross_protocol_scripting_is_cut_off(env):
    redis = env.redis()
    daemon = env.daemon(redis)
    daemon.wait_ready()
    for head in (b"POST / HTTP/1.1\r\n", b"Host: 127.0.0.1\r\n"):
        with daemon.connect() as conn:
            _sends(conn, head + b"SET owned 1\r\n")
            conn.read_to_end()
    equal(redis.cmd("EXISTS", "owned"), 0, "an HTTP request body ran a command")


@case(direct=True)
def a_client_that_vanishes_in_the_middle_of_a_reply_disturbs_nobody(env):
    redis = env.redis()
    daemon = env.daemon(redis)
    daemon.wait_ready()
    redis.cmd("SET", "big", "x" * (4 << 20))
    for i in range(30):
        conn = daemon.connect(rcvbuf=4096)
        conn.send(encode("GET", "big") * 3)
        conn.sock.recv(1000)
        if i % 2:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        conn.close()
    equal(daemon.cmd("PING"), b"PONG")
    with daemon.connect() as conn:
        equal(len(conn.cmd("GET", "big")), 4 << 20)


@case
def a_client_that_never_reads_is_closed_at_the_output_limit_and_memory_stays_bounded(env):
    redis, daemon = env.stack({"limits": {"output_bytes_max": "8mb"}})
    redis.cmd("SET", "big", "x" * 100_000)
    before = daemon.rss_bytes()
    rounds = 30
    with daemon.connect(rcvbuf=4096, timeout=5) as never, daemon.connect() as other:
        sent = 0
        try:
            for _ in range(rounds):
                never.send(encode("GET", "big") * 100)
                sent += 100
                equal(len(other.cmd("GET", "big")), 100_000)
        except OSError:
            pass  # paused (the send timed out) or closed: both are bounds
        equal(len(other.cmd("GET", "big")), 100_000)
        grown = daemon.rss_bytes() - before
        env.note(f"{sent} unread replies of 100 kB asked for: RSS grew by {grown / 1e6:.1f} MB")
        true(grown < (400e6 if sanitized() else 64e6), f"RSS grew by {grown}")


@case(direct=True)
def a_slow_reader_gets_everything_in_order_and_delays_nobody(env):
    redis = env.redis()
    daemon = env.daemon(redis, fills=True)
    for i in range(20):
        redis.cmd("SET", f"big{i}", bytes([65 + i]) * 200_000)
    with daemon.connect(rcvbuf=4096, timeout=40) as slow, daemon.connect() as other:
        order = [i % 20 for i in range(100)]
        sender = threading.Thread(target=_sends, args=(
            slow, b"".join(encode("GET", f"big{i}") for i in order)))
        sender.start()
        for i in order:
            value = slow.read()
            true(value == bytes([65 + i]) * 200_000, "a reply is wrong or out of order")
            equal(other.cmd("PING"), b"PONG")
        sender.join()


@case
def clients_beyond_the_limit_are_refused_as_redis_does(env):
    redis, daemon = env.stack({"limits": {"clients_max": 10}}, fills=False)
    daemon.wait_ready()

    def filled():
        conns = [daemon.connect() for _ in range(10)]
        try:
            return conns if all(conn.cmd("PING") == b"PONG" for conn in conns) else None
        except (Closed, OSError):
            for conn in conns:
                conn.close()
            return None

    conns = eventually(filled, "ten clients fit")
    with daemon.connect() as extra:
        equal(extra.read_to_end(), b"-ERR max number of clients reached\r\n")
    for conn in conns:
        equal(conn.cmd("PING"), b"PONG")
    conns.pop().close()

    def fits():
        with daemon.connect() as conn:
            try:
                return conn.cmd("PING") == b"PONG"
            except (Closed, ConnectionError):
                return False

    eventually(fits, "a place that became free is given away again")


@case
def a_silent_client_is_closed_after_the_idle_timeout_when_one_is_set(env):
    redis, daemon = env.stack({"limits": {"client_idle_timeout": "300ms"}}, fills=False)
    with daemon.connect() as conn, daemon.connect() as blocked:
        blocked.send_cmd("BLPOP", "q", 0)
        eventually(lambda: int(redis.info("blocked_clients")) == 1, "the pop blocks")
        equal(conn.read_to_end(), b"")
        redis.cmd("RPUSH", "q", "job")
        equal(blocked.read(), [b"q", b"job"], "a client that waits is not idle")


@case(timeout=90)
def five_thousand_idle_clients_cost_little_and_delay_nobody(env):
    redis, daemon = env.stack()
    daemon.cmd("SET", "k", "v")
    before = daemon.rss_bytes()
    conns = [daemon.connect() for _ in range(5000)]
    # One command each: a client that has never spoken would not show its buffers.
    for conn in conns:
        conn.send_cmd("GET", "k")
    for conn in conns:
        equal(conn.read(), b"v")
    grown = (daemon.rss_bytes() - before) / len(conns)
    env.note(f"5000 idle clients: {grown:.0f} bytes of RSS per client")
    with daemon.connect() as conn:
        for i in range(200):
            equal(conn.cmd("GET", "k"), b"v")
    true(grown < (200_000 if sanitized() else 8192), f"{grown:.0f} bytes of RSS per idle client")
    for conn in conns:
        conn.close()
    eventually(lambda: daemon.cmd("PING") == b"PONG", "it is alive afterwards")


@case
def a_flood_of_new_connections_leaks_neither_memory_nor_descriptors(env):
    import os
    redis, daemon = env.stack()
    daemon.cmd("PING")

    def descriptors():
        return len(os.listdir(f"/proc/{daemon.pid}/fd"))

    def flood():
        for i in range(1500):
            conn = daemon.connect(unix=i % 2 == 0)
            if i % 3 == 0:
                conn.cmd("PING")
            elif i % 3 == 1:
                conn.send(b"*2\r\n$3\r\nGE")
            conn.close()

    flood()
    open_before, rss_before = descriptors(), daemon.rss_bytes()
    flood()
    eventually(lambda: descriptors() <= open_before, "the descriptors are given back")
    grown = daemon.rss_bytes() - rss_before
    true(grown < (100e6 if sanitized() else 8e6), f"RSS grew by {grown} over 1500 connections")


@case
def a_pipeline_longer_than_the_limit_is_answered_whole(env):
    redis, daemon = env.stack({"limits": {"pipeline_max": 16}})
    with daemon.connect() as conn:
        for _ in range(3):
            commands = [("SET", f"k{i}", i) if i % 3 == 0 else ("GET", f"k{i - i % 3}")
                        for i in range(2000)]
            expected = [b"OK" if i % 3 == 0 else b"%d" % (i - i % 3) for i in range(2000)]
            sender = threading.Thread(target=_sends, args=(
                conn, b"".join(encode(*command) for command in commands)))
            sender.start()
            equal([conn.read() for _ in commands], expected)
            sender.join()
