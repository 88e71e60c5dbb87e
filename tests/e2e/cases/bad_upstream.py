"""An upstream that breaks the protocol. The client gets an error, the daemon a new link."""

import time

from harness.fake import CLOSE, STALL
from harness.registry import case
from harness.resp import RespError
from harness.wait import equal, eventually, true

# What the fake sends in place of a reply; after it the connection is silent.
_GARBAGE = {
    "text": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "binary": bytes(range(128, 256)),
    "a negative bulk length": b"$-7\r\n",
    "a bulk length that is not a number": b"$12x\r\nabc\r\n",
    "a bulk length beyond all memory": b"$9223372036854775807\r\n",
    "a length that overflows": b"$99999999999999999999999999\r\n",
    "an array of a billion": b"*1000000000\r\n",
    "a map of a negative size": b"%-3\r\n",
    "an aggregate nested without end": b"*1\r\n" * 100_000,
    "a bulk without its line end": b"$3\r\nabcdef\r\n",
    "an integer that is not one": b":12a\r\n",
    "a boolean that is neither": b"#x\r\n",
    "a line without end": b"+" + b"x" * 2_000_000,
    "an empty line": b"\r\n",
    "a line feed alone": b"+OK\n",
}


def _stack(env, script):
    fake = env.fake(script)
    daemon = env.daemon(fake, {"upstream": {"command_timeout": "500ms", "health_interval": "200ms"}})
    daemon.wait_ready()
    return fake, daemon


def _is_refused(conn, *command):
    """An error reply, or, where a part of the reply was already sent on, the end of the connection.

    A connection keeps to its lanes: a sound reply first shows that they stand again.
    """
    for number in range(1000):
        if not isinstance(conn.cmd(command[0], f"sound{number}"), RespError):
            break
        time.sleep(0.01)
    else:
        raise AssertionError("the lane of this connection does not come back")
    conn.send_cmd(*command)
    got = conn.sock.recv(1)
    if got == b"-":
        return
    while conn.sock.recv(1 << 16):
        pass


def _recovers(daemon, fake, what):
    fake.data[b"good"] = b"value"
    with daemon.connect() as conn:
        eventually(lambda: conn.cmd("GET", "good") == b"value", f"it recovers after {what}")
        # Reads may be back before the lane is: each link has its own backoff.
        eventually(lambda: conn.cmd("SET", "w", "1") == b"OK", f"writes recover after {what}")
        # And a link that was sent the beginning of something endless is one until it is given up.
        eventually(lambda: conn.cmd("GET", "w") == b"1", f"what was written is read after {what}")


@case
def garbage_instead_of_a_reply_is_an_error_and_a_new_link(env):
    current = [b""]

    def script(link, args):
        return STALL.after(current[0]) if args[:2] == ["GET", b"bad"] else None

    fake, daemon = _stack(env, script)
    before = daemon.rss_bytes()
    for what, data in _GARBAGE.items():
        current[0] = data
        with daemon.connect() as conn:
            try:
                _is_refused(conn, "GET", "bad")
            except TimeoutError as error:
                raise AssertionError(f"{what} was passed on as a reply") from error
        true(daemon.alive(), f"{what} ended the daemon")
        _recovers(daemon, fake, what)
    grown = daemon.rss_bytes() - before
    env.note(f"RSS grew by {grown / 1e6:.1f} MB over {len(_GARBAGE)} kinds of garbage")
    true(grown < 150e6, f"RSS grew by {grown}")


@case
def garbage_to_a_forwarded_command_is_an_error_and_a_new_link(env):
    current = [b""]

    def script(link, args):
        return STALL.after(current[0]) if args == ["LLEN", b"bad"] else (
            b":0\r\n" if args[0] == "LLEN" else None)

    fake, daemon = _stack(env, script)
    for what, data in _GARBAGE.items():
        current[0] = data
        with daemon.connect() as conn:
            try:
                _is_refused(conn, "LLEN", "bad")
            except TimeoutError as error:
                raise AssertionError(f"{what} was passed on as a reply") from error
        _recovers(daemon, fake, what)


@case
def an_extra_reply_never_reaches_a_client(env):
    def script(link, args):
        if args[0] in ("ECHO", "LLEN"):
            return b"$%d\r\n%b\r\n" % (len(args[1]), args[1]) + b"+EXTRA\r\n"
        return None

    fake, daemon = _stack(env, script)
    with daemon.connect() as conn:
        for i in range(60):
            reply = conn.cmd("LLEN", f"tag{i}")
            true(reply == b"tag%d" % i or isinstance(reply, RespError),
                 f"the extra reply was delivered: {reply!r}")
            true(reply != b"EXTRA", "the extra reply was delivered")
    _recovers(daemon, fake, "extra replies")


@case
def an_unexpected_push_is_ignored(env):
    def script(link, args):
        if args[0] == "LLEN" and link.proto == 3:
            return b">3\r\n+message\r\n+chan\r\n+text\r\n:7\r\n>2\r\n$6\r\nnobody\r\n:1\r\n"
        return b":7\r\n" if args[0] == "LLEN" else None

    fake, daemon = _stack(env, script)
    for proto in (2, 3):
        with daemon.connect(proto=proto) as conn:
            for _ in range(10):
                reply = conn.cmd("LLEN", "x")
                true(reply == 7 or isinstance(reply, RespError), reply)
            equal(conn.pushes, [], "a push of nobody's was passed on")
    _recovers(daemon, fake, "pushes")


@case
def malformed_invalidations_do_no_harm(env):
    fake, daemon = _stack(env, None)
    fake.data[b"k"] = b"1"
    for push in (b">2\r\n$10\r\ninvalidate\r\n:5\r\n", b">1\r\n$10\r\ninvalidate\r\n", b">0\r\n",
                 b">2\r\n$10\r\ninvalidate\r\n*1\r\n*0\r\n", b">2\r\n$10\r\ninvalidate\r\n*0\r\n",
                 b">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\nk\r\n_\r\n",
                 b">2\r\n$10\r\ninvalidate\r\n_\r\n", b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n",
                 b">3\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n+more\r\n"):
        with daemon.connect() as conn:
            eventually(lambda: conn.cmd("GET", "k") == b"1", "the value is read")
            for link in list(fake.links):
                if link.tracking:
                    try:
                        link.send(push)
                    except OSError:
                        pass
            eventually(lambda: conn.cmd("GET", "k") == b"1", f"after {push!r}")
        true(daemon.alive(), f"{push!r} ended the daemon")
    _recovers(daemon, fake, "malformed pushes")


@case
def half_a_reply_and_then_silence_times_out(env):
    def script(link, args):
        if args[:2] == ["GET", b"half"]:
            return STALL.after(b"$100\r\nonly this much")
        return STALL.after(b"*3\r\n:1\r\n:2\r\n") if args[0] == "LRANGE" else None

    fake, daemon = _stack(env, script)
    with daemon.connect() as conn, daemon.connect() as other:
        for command in (("GET", "half"), ("LRANGE", "x", 0, -1)):
            reply = conn.cmd(*command)
            true(isinstance(reply, RespError), f"{command}: {reply!r}")
            eventually(lambda: other.cmd("SET", "o", "1") == b"OK", "others go on")
    _recovers(daemon, fake, "half a reply")


@case
def a_link_closed_in_the_middle_of_a_value_is_an_error(env):
    def script(link, args):
        if args[0] in ("GET", "LRANGE") and args[1] == b"cut":
            return CLOSE.after(b"$1000000\r\n" + b"x" * 500_000)
        return None

    fake, daemon = _stack(env, script)
    for command in (("GET", "cut"), ("LRANGE", "cut", 0, -1)):
        with daemon.connect() as conn:
            try:
                reply = conn.cmd(*command)
            except Exception as closed:  # a value already half sent can only end with the connection
                true("closed" in str(closed).lower() or "reset" in str(closed).lower(), closed)
                continue
            true(isinstance(reply, RespError), f"{command}: {reply!r}")
    _recovers(daemon, fake, "a cut value")


@case
def a_link_closed_at_once_after_accept_is_retried_without_spinning(env):
    accept = [False]

    def script(link, args):
        return None if accept[0] else CLOSE

    fake = env.fake(script)
    daemon = env.daemon(fake)
    with daemon.connect() as conn:
        true(isinstance(conn.cmd("GET", "k"), RespError), "no error")
    eventually(lambda: len(fake.links) >= 6, "it tries again")
    accept[0] = True
    _recovers(daemon, fake, "refusals")


@case
def an_upstream_that_demands_auth_is_an_error_that_says_so(env):
    locked = [True]

    def script(link, args):
        if not locked[0]:
            return None
        if args[0] == "HELLO":
            return b"-NOAUTH HELLO must be called with the client already authenticated\r\n"
        return b"-NOAUTH Authentication required.\r\n"

    fake = env.fake(script)
    daemon = env.daemon(fake)
    with daemon.connect() as conn:
        reply = eventually(lambda: isinstance(r := conn.cmd("GET", "k"), RespError) and r, "an error")
        true(reply.text, "an empty error")
    equal(daemon.probe("/liveness"), 200)
    locked[0] = False
    _recovers(daemon, fake, "NOAUTH")


@case
def an_upstream_that_is_loading_is_waited_for(env):
    loading = [True]

    def script(link, args):
        if loading[0] and args[0] not in ("HELLO", "CLIENT", "AUTH"):
            return b"-LOADING Redis is loading the dataset in memory\r\n"
        return None

    fake = env.fake(script)
    daemon = env.daemon(fake)
    with daemon.connect() as conn:
        for _ in range(10):
            reply = conn.cmd("GET", "k")
            true(isinstance(reply, RespError), f"{reply!r} from a loading server")
        loading[0] = False
        fake.data[b"k"] = b"v"
        eventually(lambda: conn.cmd("GET", "k") == b"v", "the value is served once loaded")


@case
def an_error_reply_to_a_read_is_never_kept(env):
    errors = [b"-LOADING x\r\n", b"-BUSY x\r\n", b"-MASTERDOWN x\r\n", b"-ERR x\r\n", b"-OOM x\r\n",
              b"-MOVED 1 127.0.0.1:1\r\n", b"!5\r\nERR y\r\n"]
    current = [None]

    def script(link, args):
        return current[0] if args[:2] == ["GET", b"k"] and current[0] else None

    fake, daemon = _stack(env, script)
    fake.data[b"k"] = b"v"
    with daemon.connect(proto=3) as conn:
        for error in errors:
            fake.invalidate(b"k")
            current[0] = error
            eventually(lambda: isinstance(conn.cmd("GET", "k"), RespError), f"{error!r} arrives")
            current[0] = None
            eventually(lambda: conn.cmd("GET", "k") == b"v", "the value is back at once")


@case
def an_old_server_without_resp3_is_served_ttl_only(env):
    def script(link, args):
        if args[0] == "HELLO":
            return b"-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n"
        if args[0] == "CLIENT" and args[1].upper() == b"TRACKING":
            return (b"-ERR Unknown subcommand or wrong number of arguments for 'TRACKING'. "
                    b"Try CLIENT HELP\r\n")
        return None

    fake = env.fake(script)
    daemon = env.daemon(fake, {"rules": [{"prefix": "asked:", "ttl": "60s"}]})
    daemon.wait_ready()
    fake.data[b"asked:1"] = b"a"
    fake.data[b"plain"] = b"p"
    with daemon.connect() as conn:
        for _ in range(10):
            equal(conn.cmd("GET", "plain"), b"p")
        equal(sum(1 for args in fake.commands() if args[:2] == ["GET", b"plain"]), 10,
              "a key nobody asked to cache was cached without tracking")

        def asked():
            return sum(1 for args in fake.commands() if args[:2] == ["GET", b"asked:1"])

        def from_memory():
            before = asked()
            equal(conn.cmd("GET", "asked:1"), b"a")
            return asked() == before
        eventually(from_memory, "a rule asked for caching and nothing is cached")
        equal(conn.cmd("SET", "asked:1", "b"), b"OK")
        equal(conn.cmd("GET", "asked:1"), b"b")
    with daemon.connect() as conn:
        hello = conn.cmd("HELLO", 3)
        if isinstance(hello, RespError):
            true(hello.text.startswith(("NOPROTO", "ERR")), hello)
        equal(conn.cmd("GET", "plain"), b"p")


@case
def a_server_that_never_answers_the_handshake_is_given_up(env):
    mute = [True]
    fake = env.fake(lambda link, args: STALL if mute[0] else None)
    daemon = env.daemon(fake, {"upstream": {"connect_timeout": "200ms", "command_timeout": "200ms"}})
    with daemon.connect() as conn:
        true(isinstance(conn.cmd("GET", "k"), RespError), "no error")
    eventually(lambda: len(fake.links) >= 3, "it tries again")
    mute[0] = False
    _recovers(daemon, fake, "silence")


@case
def a_link_that_goes_silent_is_found_by_its_pings(env):
    mute = [False]
    fake, daemon = _stack(env, lambda link, args: STALL if mute[0] else None)
    links = len(fake.links)
    mute[0] = True
    eventually(lambda: len(fake.links) > links, "the silent link is replaced")
    mute[0] = False
    _recovers(daemon, fake, "silence")


@case
def replies_cut_at_every_byte_are_put_together(env):
    def script(link, args):
        if args[0] in ("LRANGE", "GET") and args[1] == b"slow":
            reply = b"*2\r\n$5\r\nhello\r\n:42\r\n" if args[0] == "LRANGE" else b"$5\r\nhello\r\n"
            for i in range(len(reply)):
                link.send(reply[i:i + 1])
                time.sleep(0.0005)
            return b""
        return None

    fake, daemon = _stack(env, script)
    fake.data[b"slow"] = b"hello"
    with daemon.connect() as conn:
        for _ in range(5):
            equal(conn.cmd("LRANGE", "slow", 0, -1), [b"hello", 42])
        equal(conn.cmd("GET", "slow"), b"hello")
        equal(conn.pipeline(("LRANGE", "slow", 0, -1), ("ECHO", "x"), ("LRANGE", "slow", 0, -1)),
              [[b"hello", 42], b"x", [b"hello", 42]])
