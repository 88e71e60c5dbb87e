"""Many ask, one is sent."""

from harness.fake import STALL
from harness.registry import case
from harness.resp import RespError
from harness.wait import equal, eventually, true

_MANY = 60


def _ask_while_frozen(redis, conns, key, daemon):
    """All ask for a cold key while the upstream stands still; it goes on once all have been heard."""
    before = redis.calls("get")
    redis.signal(19)  # SIGSTOP
    try:
        for conn in conns:
            conn.send_cmd("GET", key)
        # A reply to a later local command proves that the loop has handled the reads before it.
        with daemon.connect() as barrier:
            for _ in range(3):
                barrier.cmd("NEARCACHE", "STATS")
    finally:
        redis.signal(18)  # SIGCONT
    return before


@case
def many_concurrent_reads_of_a_cold_key_are_one_upstream_read(env):
    redis, daemon = env.stack()
    conns = [daemon.connect(proto=2 + i % 2) for i in range(_MANY)]
    for round_ in range(5):
        redis.cmd("SET", f"cold{round_}", f"v{round_}")
        before = _ask_while_frozen(redis, conns[::2], f"cold{round_}", daemon)
        for conn in conns[::2]:
            equal(conn.read(), b"v%d" % round_)
        calls = redis.calls("get") - before
        equal(calls, 1, f"{_MANY // 2} reads of one protocol caused {calls} upstream reads")
    before = _ask_while_frozen(redis, conns, "absent", daemon)
    for conn in conns:
        equal(conn.read(), None)
    calls = redis.calls("get") - before
    true(calls <= 2, f"{_MANY} reads of two protocols caused {calls} upstream reads")


@case
def concurrent_reads_are_not_shared_when_coalescing_is_off(env):
    redis, daemon = env.stack({"coalescing": {"enabled": False}})
    redis.cmd("SET", "cold", "v")
    conns = [daemon.connect() for _ in range(_MANY)]
    before = _ask_while_frozen(redis, conns, "cold", daemon)
    for conn in conns:
        equal(conn.read(), b"v")
    equal(redis.calls("get") - before, _MANY)


@case
def a_leader_that_leaves_does_not_fail_the_others(env):
    redis, daemon = env.stack()
    redis.cmd("SET", "cold", "v")
    leader = daemon.connect()
    followers = [daemon.connect() for _ in range(10)]
    before = redis.calls("get")
    redis.signal(19)
    try:
        leader.send_cmd("GET", "cold")
        with daemon.connect() as barrier:
            barrier.cmd("NEARCACHE", "STATS")
        for follower in followers:
            follower.send_cmd("GET", "cold")
        with daemon.connect() as barrier:
            barrier.cmd("NEARCACHE", "STATS")
            leader.close()
            barrier.cmd("NEARCACHE", "STATS")
    finally:
        redis.signal(18)
    for follower in followers:
        equal(follower.read(), b"v")
    equal(redis.calls("get") - before, 1)


@case
def a_follower_that_leaves_disturbs_nobody(env):
    redis, daemon = env.stack()
    redis.cmd("SET", "cold", "v")
    conns = [daemon.connect() for _ in range(20)]
    redis.signal(19)
    try:
        for conn in conns:
            conn.send_cmd("GET", "cold")
        for conn in conns[1::2]:
            conn.close()
        with daemon.connect() as barrier:
            barrier.cmd("NEARCACHE", "STATS")
    finally:
        redis.signal(18)
    for conn in conns[::2]:
        equal(conn.read(), b"v")


@case
def an_error_goes_to_all_who_wait_and_is_not_remembered(env):
    asked = []

    def script(link, args):
        if args[0] == "GET" and args[1] == b"cold":
            asked.append(link)
            return STALL if len(asked) == 1 else None
        return None

    fake = env.fake(script)
    daemon = env.daemon(fake)
    daemon.wait_ready()
    fake.data[b"cold"] = b"v"
    conns = [daemon.connect() for _ in range(10)]
    for conn in conns:
        conn.send_cmd("GET", "cold")
    eventually(lambda: asked, "the read has reached the upstream")
    with daemon.connect() as barrier:
        barrier.cmd("NEARCACHE", "STATS")
    asked[0].release(b"-BUSY the fake is busy\r\n")
    for conn in conns:
        equal(conn.read(), RespError("BUSY the fake is busy"))
    equal(conns[0].cmd("GET", "cold"), b"v", "the error was remembered")


@case
def the_loss_of_the_link_answers_all_who_wait(env):
    asked = []

    def script(link, args):
        if args[0] == "GET" and args[1] == b"cold":
            asked.append(link)
            return STALL if len(asked) == 1 else None
        return None

    fake = env.fake(script)
    daemon = env.daemon(fake)
    daemon.wait_ready()
    fake.data[b"cold"] = b"v"
    conns = [daemon.connect() for _ in range(10)]
    for conn in conns:
        conn.send_cmd("GET", "cold")
    eventually(lambda: asked, "the read has reached the upstream")
    with daemon.connect() as barrier:
        barrier.cmd("NEARCACHE", "STATS")
    fake.drop_links()
    for conn in conns:
        reply = conn.read()
        true(isinstance(reply, RespError) or reply == b"v", reply)
    eventually(lambda: conns[0].cmd("GET", "cold") == b"v", "it recovers")


@case
def a_reader_that_comes_after_a_write_does_not_join_an_older_read(env):
    held = []

    def script(link, args):
        if args[0] == "GET" and args[1] == b"k" and not held:
            held.append(link)
            return STALL
        return None

    fake = env.fake(script)
    through = env.daemon(fake)
    through.wait_ready()
    fake.data[b"k"] = b"old"
    with through.connect() as early, through.connect() as writer, through.connect() as late:
        early.send_cmd("GET", "k")
        eventually(lambda: held, "the early read is under way")
        # The fake is one thread per link: the write goes through while the read is held.
        equal(writer.cmd("SET", "k", "new"), b"OK")
        late.send_cmd("GET", "k")
        if late.silent(0.3):
            # One lane for all the fills of a key: the late read waits its turn behind the held one.
            held[0].release(b"$3\r\nold\r\n")
            equal(late.read(), b"new", "a read after the write shared the older read's value")
            equal(early.read(), b"old")
        else:
            equal(late.read(), b"new", "a read after the write shared the older read's value")
            held[0].release(b"$3\r\nold\r\n")
            equal(early.read(), b"old")
        for _ in range(5):
            equal(late.cmd("GET", "k"), b"new", "the older read was kept")
