"""What a client meets first: handshakes, protocols, framing, order."""

import os
import stat

from harness.registry import case
from harness.resp import Closed, RespError, encode
from harness.wait import equal, true


def _map(reply):
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


@case(direct=True)
def hello_answers_truthfully_in_both_protocols(env):
    daemon = env.daemon(env.redis())
    with daemon.connect() as conn:
        before = _map(conn.cmd("HELLO"))
        equal(before[b"proto"], 2)
        raw = conn.raw("HELLO", 3)
        true(raw.startswith(b"%"), f"HELLO 3 is answered as a map: {raw!r}")
        fields = _map(conn.cmd("HELLO"))
        equal(fields[b"proto"], 3)
        true({b"server", b"version", b"proto", b"id", b"mode", b"role", b"modules"} <= set(fields),
             fields)
        equal(fields[b"mode"], b"standalone")
        equal(fields[b"role"], b"master")
        equal(conn.raw("GET", "nothing"), b"_\r\n")
        raw = conn.raw("HELLO", 2)
        true(raw.startswith(b"*"), raw)
        equal(conn.raw("GET", "nothing"), b"$-1\r\n")


@case(direct=True)
def hello_with_auth_and_setname_in_one_line(env):
    redis = env.redis()
    daemon = env.daemon(redis)
    with daemon.connect() as conn:
        fields = conn.cmd("HELLO", 3, "SETNAME", "smoke")
        true(isinstance(fields, dict), fields)
        equal(conn.cmd("CLIENT", "GETNAME"), b"smoke")
    with daemon.connect() as conn:
        reply = conn.cmd("HELLO", 3, "AUTH", "default", "wrong-for-nopass-user", "SETNAME", "x")
        true(isinstance(reply, (dict, RespError)), reply)
        equal(conn.cmd("PING"), b"PONG")


@case(direct=True)
def hello_with_a_version_nobody_speaks_is_noproto(env):
    daemon = env.daemon(env.redis())
    with daemon.connect() as conn:
        for version in (1, 4, 99):
            reply = conn.cmd("HELLO", version)
            true(isinstance(reply, RespError) and reply.text.startswith("NOPROTO"), reply)
        reply = conn.cmd("HELLO", "three")
        true(isinstance(reply, RespError), reply)
        reply = conn.cmd("HELLO", 3, "NONSENSE")
        true(isinstance(reply, RespError), reply)
        equal(_map(conn.cmd("HELLO"))[b"proto"], 2)


@case(direct=True)
def client_ids_differ_and_names_stick(env):
    daemon = env.daemon(env.redis())
    with daemon.connect() as one, daemon.connect() as two:
        true(one.cmd("CLIENT", "ID") != two.cmd("CLIENT", "ID"), "two clients have one id")
        equal(one.cmd("CLIENT", "SETNAME", "one"), b"OK")
        equal(one.cmd("CLIENT", "GETNAME"), b"one")
        true(two.cmd("CLIENT", "GETNAME") in (None, b""), "the name leaked to another client")
        reply = one.cmd("CLIENT", "SETNAME", "with space")
        true(isinstance(reply, RespError), reply)
        equal(one.cmd("CLIENT", "ID"), _map(one.cmd("HELLO"))[b"id"])


@case(direct=True)
def select_is_per_client_and_never_swallowed(env):
    daemon = env.daemon(env.redis())
    with daemon.connect() as one, daemon.connect() as two:
        equal(one.cmd("SELECT", 5), b"OK")
        equal(one.cmd("SET", "k", "five"), b"OK")
        equal(two.cmd("GET", "k"), None)
        equal(two.cmd("SET", "k", "zero"), b"OK")
        for _ in range(3):
            equal(one.cmd("GET", "k"), b"five")
            equal(two.cmd("GET", "k"), b"zero")
        reply = one.cmd("SELECT", 9999)
        true(isinstance(reply, RespError), reply)
        equal(one.cmd("GET", "k"), b"five")
        equal(one.pipeline(("SELECT", 0), ("GET", "k"), ("SELECT", 5), ("GET", "k")),
              [b"OK", b"zero", b"OK", b"five"])


@case(direct=True)
def quit_answers_ok_and_closes_and_what_follows_is_not_run(env):
    redis = env.redis()
    daemon = env.daemon(redis)
    daemon.wait_ready()
    with daemon.connect() as conn:
        conn.send(encode("SET", "a", "1") + encode("QUIT") + encode("SET", "b", "1"))
        equal(conn.read(), b"OK")
        equal(conn.read(), b"OK")
        equal(conn.read_to_end(), b"")
    equal(redis.cmd("EXISTS", "a", "b"), 1)


@case(direct=True)
def reset_returns_to_protocol_2_database_0_and_no_name(env):
    daemon = env.daemon(env.redis())
    with daemon.connect(proto=3) as conn:
        conn.cmd("SELECT", 4)
        conn.cmd("CLIENT", "SETNAME", "x")
        conn.cmd("MULTI")
        equal(conn.cmd("RESET"), b"RESET")
        equal(conn.raw("GET", "nothing"), b"$-1\r\n")
        true(conn.cmd("CLIENT", "GETNAME") in (None, b""), "the name survived RESET")
        conn.cmd("SET", "k", "in zero")
    with daemon.connect() as conn:
        equal(conn.cmd("GET", "k"), b"in zero")


@case(direct=True)
def inline_commands_are_answered(env):
    daemon = env.daemon(env.redis())
    daemon.wait_ready()
    with daemon.connect() as conn:
        conn.send(b"PING\r\n")
        equal(conn.read_raw(), b"+PONG\r\n")
        conn.send(b"PING\n")
        equal(conn.read_raw(), b"+PONG\r\n")
        conn.send(b"\r\n\r\nPING\r\n")
        equal(conn.read_raw(), b"+PONG\r\n")
        conn.send(b'SET inline "a b\\x41\\n"\r\n')
        equal(conn.read_raw(), b"+OK\r\n")
        conn.send(b"GET inline\r\n" b"  GET   inline  \r\n" b"get 'inline'\r\n")
        for _ in range(3):
            equal(conn.read(), b"a bA\n")
        conn.send(b"PING\r\n" + encode("PING", "x") + b"PING y\r\n")
        equal([conn.read() for _ in range(3)], [b"PONG", b"x", b"y"])


@case(direct=True)
def unbalanced_quotes_in_an_inline_command_are_a_protocol_error(env):
    daemon = env.daemon(env.redis())
    with daemon.connect() as conn:
        conn.send(b'SET a "b\r\n')
        equal(conn.read_to_end(), b"-ERR Protocol error: unbalanced quotes in request\r\n")


@case(direct=True)
def ten_thousand_pipelined_requests_are_answered_in_order(env):
    daemon = env.daemon(env.redis())
    daemon.wait_ready()
    for unix in (False, True):
        for proto in (2, 3):
            with daemon.connect(unix=unix, proto=proto) as conn:
                commands = []
                expected = []
                for i in range(2500):
                    commands += [("SET", f"k{i % 97}", i), ("GET", f"k{i % 97}"), ("ECHO", i),
                                 ("PING", i)]
                    expected += [b"OK"] + [b"%d" % i] * 3
                _pump(conn, commands, expected)


def _pump(conn, commands, expected):
    """Sends in slices while reading, so that neither side's buffers decide the outcome."""
    got = []
    for at in range(0, len(commands), 1000):
        part = commands[at:at + 1000]
        conn.send(b"".join(encode(*command) for command in part))
        if at:
            got += [conn.read() for _ in range(1000)]
    while len(got) < len(expected):
        got.append(conn.read())
    for i, (a, b) in enumerate(zip(got, expected)):
        equal(a, b, f"reply {i} to {commands[i]}")


@case(direct=True)
def ten_thousand_warm_and_cold_reads_in_one_write_are_answered_in_order(env):
    redis = env.redis()
    daemon = env.daemon(redis, fills=True)
    with redis.connect() as conn:
        for i in range(0, 10_000, 2):
            conn.send_cmd("SET", f"k{i}", f"v{i}")
        for i in range(5000):
            conn.read()
    expected = [b"v%d" % i if i % 2 == 0 else None for i in range(10_000)]
    with daemon.connect() as conn:
        _pump(conn, [("GET", f"k{i}") for i in range(0, 10_000, 3)], expected[::3])
        _pump(conn, [("GET", f"k{i}") for i in range(10_000)], expected)
        _pump(conn, [("GET", f"k{i}") for i in range(10_000)], expected)


@case(direct=True)
def a_request_cut_at_every_byte_is_understood(env):
    daemon = env.daemon(env.redis())
    daemon.wait_ready()
    request = encode("SET", "cut", "some value") + encode("GET", "cut") + b"PING inline\r\n"
    with daemon.connect() as conn:
        for at in range(1, len(request)):
            conn.send(request[:at])
            conn.send(request[at:])
            equal([conn.read() for _ in range(3)], [b"OK", b"some value", b"inline"], f"cut at {at}")
        for byte in request:
            conn.send(bytes([byte]))
        equal([conn.read() for _ in range(3)], [b"OK", b"some value", b"inline"])


@case(direct=True)
def command_names_are_case_insensitive_and_values_are_binary_safe(env):
    daemon = env.daemon(env.redis())
    daemon.wait_ready()
    value = bytes(range(256)) * 3
    with daemon.connect(proto=3) as conn:
        equal(conn.cmd("sEt", b"bin\x00\r\nkey", value), b"OK")
        for _ in range(3):
            equal(conn.cmd("gEt", b"bin\x00\r\nkey"), value)


@case(direct=True)
def values_of_every_size_survive_cold_and_warm(env):
    daemon = env.daemon(env.redis())
    daemon.wait_ready()
    with daemon.connect() as conn:
        for size in (0, 1, 15, 16, 63, 64, 127, 128, 1023, 1024, 4095, 16 * 1024 - 1, 16 * 1024,
                     64 * 1024, 64 * 1024 + 1, 1 << 20, (1 << 20) + 7, 5 << 20):
            value = os.urandom(size)
            equal(conn.cmd("SET", f"size{size}", value), b"OK")
            for _ in range(3):
                true(conn.cmd("GET", f"size{size}") == value, f"a value of {size} bytes changed")
        # A length that changes its number of digits between neighbours, in one write.
        sizes = [9, 10, 99, 100, 999, 1000, 9999, 10000]
        replies = conn.pipeline(*[("SET", f"n{n}", b"x" * n) for n in sizes],
                                *[("GET", f"n{n}") for n in sizes])
        equal([len(r) for r in replies[len(sizes):]], sizes)


@case
def the_unix_socket_has_mode_0660_and_disappears_with_the_daemon(env):
    redis = env.redis()
    daemon = env.daemon(redis)
    mode = os.stat(daemon.unix).st_mode
    true(stat.S_ISSOCK(mode), "not a socket")
    equal(oct(stat.S_IMODE(mode)), oct(0o660))
    daemon.may_be_gone = True
    equal(daemon.stop(), 0)
    true(not os.path.exists(daemon.unix), "the socket file is still there")


@case
def the_mode_of_the_unix_socket_is_configurable(env):
    redis = env.redis()
    unix = f"{env.folder}/m.sock"
    config = env.config(redis)
    config["listeners"][1] = {"address": f"unix:{unix}", "unix_mode": "0600"}
    env.daemon(redis, config)
    equal(oct(stat.S_IMODE(os.stat(unix).st_mode)), oct(0o600))


@case
def a_stale_unix_socket_file_of_a_killed_daemon_does_not_prevent_the_start(env):
    redis = env.redis()
    daemon = env.daemon(redis)
    daemon.kill()
    daemon.may_be_gone = True
    daemon.expected_exit = -9
    again = env.daemon(redis, {"listeners": daemon.config["listeners"]})
    with again.connect(unix=True) as conn:
        equal(conn.cmd("PING"), b"PONG")


@case(direct=True)
def half_a_client_that_shuts_its_writing_side_still_gets_its_replies(env):
    import socket
    daemon = env.daemon(env.redis())
    daemon.wait_ready()
    with daemon.connect() as conn:
        conn.send(encode("PING", "before"))
        equal(conn.read(), b"before")
        conn.sock.shutdown(socket.SHUT_WR)
        try:
            equal(conn.read_to_end(), b"")
        except Closed:
            pass


@case(direct=True)
def asking_with_resp3_types_comes_back_as_the_server_says(env):
    daemon = env.daemon(env.redis())
    daemon.wait_ready()
    with daemon.connect(proto=3) as conn:
        conn.cmd("HSET", "h", "f", "v")
        equal(conn.raw("HGETALL", "h"), b"%1\r\n$1\r\nf\r\n$1\r\nv\r\n")
        conn.cmd("SADD", "s", "1")
        equal(conn.raw("SMEMBERS", "s"), b"~1\r\n$1\r\n1\r\n")
        conn.cmd("ZADD", "z", "1.5", "m")
        equal(conn.raw("ZSCORE", "z", "m"), b",1.5\r\n")
        for kind, raw in (("double", b",3.141\r\n"), ("null", b"_\r\n"), ("true", b"#t\r\n"),
                          ("bignum", b"(1234567999999999999999999999999999999\r\n"),
                          ("verbatim", b"=29\r\ntxt:This is a verbatim\nstring\r\n")):
            equal(conn.raw("DEBUG", "PROTOCOL", kind), raw)
    with daemon.connect(proto=2) as conn:
        equal(conn.raw("HGETALL", "h"), b"*2\r\n$1\r\nf\r\n$1\r\nv\r\n")
        equal(conn.raw("ZSCORE", "z", "m"), b"$3\r\n1.5\r\n")


@case(direct=True)
def two_clients_of_two_protocols_never_see_each_others_shapes(env):
    daemon = env.daemon(env.redis())
    daemon.wait_ready()
    daemon.cmd("SET", "k", "v")
    with daemon.connect(proto=2) as two, daemon.connect(proto=3) as three:
        for _ in range(20):
            equal(two.raw("GET", "nothing"), b"$-1\r\n")
            equal(three.raw("GET", "nothing"), b"_\r\n")
            equal(two.raw("MGET", "k", "nothing"), b"*2\r\n$1\r\nv\r\n$-1\r\n")
            equal(three.raw("MGET", "k", "nothing"), b"*2\r\n$1\r\nv\r\n_\r\n")
