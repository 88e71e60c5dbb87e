"""Requests that are handed on as they come (limits.stream_above): what they take, and who notices."""

import threading

from harness.registry import case
from harness.resp import RespError
from harness.wait import equal, eventually, true

_PIECE = b"0123456789abcdef" * 4096  # 64 KiB


def _begin(conn, size, *args):
    """Sends a request whose last argument has `size` bytes, up to the first of those."""
    parts = [str(arg).encode() for arg in args]
    head = b"*%d\r\n" % (len(parts) + 1) + b"".join(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts)
    conn.send(head + b"$%d\r\n" % size)


def _value(conn, size):
    for _ in range(size // len(_PIECE)):
        conn.send(_PIECE)


def _set(env, size, bound):
    redis, daemon = env.stack(fills=False)
    daemon.wait_ready()
    daemon.forget_peak()
    before = daemon.peak_rss_bytes()
    with daemon.connect(timeout=120) as conn, daemon.connect() as bystander:
        _begin(conn, size, "SET", "k")
        _value(conn, size)
        equal(bystander.cmd("INCR", "others"), 1)  # on a lane, and not behind it
        conn.send(b"\r\n")
        equal(conn.read(), b"OK")
        equal(conn.cmd("STRLEN", "k"), size)
        grown = daemon.peak_rss_bytes() - before
        env.note(f"a SET of {size >> 20} MiB: peak RSS grew by {grown / 1e6:.1f} MB")
        true(grown < bound, f"peak RSS grew by {grown}")
    with redis.connect() as direct:
        equal(direct.cmd("GETRANGE", "k", size - 20, size - 1), _PIECE[-20:])
    equal(daemon.metrics().total("nearcached_requests_streamed_total"), 1)


@case
def a_value_of_128_mib_passes_in_a_fraction_of_that(env):
    _set(env, 128 << 20, 60e6)


@case(full=True, timeout=180)
def a_value_of_512_mib_passes_in_a_fraction_of_that(env):
    _set(env, 512 << 20, 60e6)


@case
def large_requests_of_many_kinds_and_clients_arrive_as_they_were_sent(env):
    redis, daemon = env.stack({"limits": {"stream_above": "100kb"}}, fills=False)
    daemon.wait_ready()
    value = _PIECE * 20
    commands = [["SET", "s{}", value, "EX", 1000], ["APPEND", "a{}", value], ["HSET", "h{}", "f", value, "g", "1"],
                ["RPUSH", "l{}", value, "x", value], ["SETRANGE", "r{}", 5, value], ["SADD", "m{}", value]]
    problems = []

    def client(number):
        try:
            with daemon.connect(3 if number % 2 else 2) as conn:
                for command in commands:
                    reply = conn.cmd(*[arg.format(number) if isinstance(arg, str) else arg for arg in command])
                    if isinstance(reply, RespError):
                        problems.append(reply)
                replies = conn.pipeline(["SET", "p{}", value], ["GET", f"s{number}"], ["SET", f"q{number}", value],
                                        ["STRLEN", f"q{number}"])
                if replies != [b"OK", value, b"OK", len(value)]:
                    problems.append([str(reply)[:60] for reply in replies])
        except Exception as error:  # pylint: disable=broad-except
            problems.append(repr(error))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(problems, [])
    with redis.connect() as direct:
        for number in range(8):
            equal(direct.cmd("GET", f"s{number}"), value)
            equal(direct.cmd("HGET", f"h{number}", "f"), value)
            equal(direct.cmd("LRANGE", f"l{number}", 0, -1), [value, b"x", value])
            equal(direct.cmd("GETRANGE", f"r{number}", 5, -1), value)
    true(daemon.metrics().total("nearcached_requests_streamed_total") >= 8 * len(commands),
         "they were gathered")


@case
def a_client_that_vanishes_in_the_middle_of_a_large_request_has_done_nothing(env):
    redis, daemon = env.stack({"limits": {"stream_above": "100kb"}}, fills=False)
    daemon.wait_ready()
    redis.cmd("SET", "k", "before")
    for _ in range(20):
        with daemon.connect() as conn:
            _begin(conn, 10 << 20, "SET", "k")
            _value(conn, 1 << 20)
    eventually(lambda: daemon.metrics().total("nearcached_clients_pinned") == 0, "the links went back")
    equal(redis.cmd("GET", "k"), b"before")
    equal(daemon.cmd("GET", "k"), b"before")


@case
def a_large_request_whose_upstream_is_lost_in_the_middle_is_said_not_to_have_run(env):
    redis, daemon = env.stack({"limits": {"stream_above": "100kb"}})
    redis.cmd("SET", "k", "before")
    with daemon.connect() as conn, daemon.connect() as other:
        equal(other.cmd("GET", "k"), b"before")
        _begin(conn, 1 << 20, "APPEND", "k")
        conn.send(_PIECE * 8)
        eventually(lambda: daemon.metrics().total("nearcached_requests_streamed_total") == 1, "it is on its way")
        redis.cmd("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        conn.send(_PIECE * 8 + b"\r\n")
        reply = conn.read()
        true(isinstance(reply, RespError) and "has not run" in reply.text, reply)
        equal(conn.cmd("PING"), b"PONG")
        eventually(lambda: other.cmd("GET", "k") == b"before", "the links stand again")
    equal(redis.cmd("GET", "k"), b"before")


@case
def a_value_larger_than_the_server_takes_is_refused_in_its_words(env):
    redis, daemon = env.stack({"limits": {"stream_above": "100kb"}}, fills=False)
    daemon.wait_ready()
    redis.cmd("CONFIG", "SET", "proto-max-bulk-len", "1mb")
    with daemon.connect() as conn:
        _begin(conn, 4 << 20, "SET", "k")
        _value(conn, 4 << 20)
        conn.send(b"\r\n")
        reply = conn.read()
        true(isinstance(reply, RespError), reply)
        equal(conn.cmd("PING"), b"PONG")
    equal(redis.cmd("EXISTS", "k"), 0)


@case(timeout=60)
def many_clients_write_more_at_once_than_may_wait_on_a_link(env):
    redis, daemon = env.stack({"upstream": {"links": 1, "link_bytes_max": "4mb"}}, fills=False)
    daemon.wait_ready()
    value = _PIECE * 16
    errors = []

    def write(number):
        with daemon.connect(timeout=60) as conn:
            for _ in range(5):
                reply = conn.cmd("SET", f"k{number}", value)
                if reply != b"OK":
                    errors.append(reply)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(errors, [])
    true(daemon.metrics().total("nearcached_requests_delayed_total") > 0, "some had to wait")
