"""Reads from memory: proven by the counters of the upstream, which do not move."""

from harness.registry import case
from harness.wait import equal, eventually, true


def served_locally(redis, conn, *command, expected=None, times=5):
    """These reads reach the upstream not once, and say what is expected."""
    before = redis.calls("get", "mget")
    for _ in range(times):
        equal(conn.cmd(*command), expected, f"{command}")
    equal(redis.calls("get", "mget") - before, 0, f"{command} went upstream")


def warm(redis, conn, *keys):
    """Reads each key until it is served from L1."""
    for key in keys:
        def hit(key=key):
            conn.cmd("GET", key)
            before = redis.calls("get", "mget")
            conn.cmd("GET", key)
            return redis.calls("get", "mget") == before
        eventually(hit, f"{key} is served from L1")


def forwarded(redis, conn, *command, times=5):
    """These reads reach the upstream every time."""
    name = command[0].lower()
    before = redis.calls(name)
    for _ in range(times):
        conn.cmd(*command)
    equal(redis.calls(name) - before, times, f"{command} was not forwarded each time")


@case
def a_second_get_is_served_without_the_upstream(env):
    redis, daemon = env.stack()
    redis.cmd("SET", "k", "v")
    with daemon.connect() as conn:
        warm(redis, conn, "k")
        served_locally(redis, conn, "GET", "k", expected=b"v", times=100)
    with daemon.connect(unix=True, proto=3) as other:
        served_locally(redis, other, "GET", "k", expected=b"v", times=100)


@case
def mget_asks_only_for_what_is_missing_and_merges_in_order(env):
    redis, daemon = env.stack()
    for i in range(10):
        redis.cmd("SET", f"k{i}", f"v{i}")
    with daemon.connect() as conn:
        warm(redis, conn, "k1", "k3", "k5")
        with redis.connect() as monitor:
            monitor.cmd("MONITOR")
            keys = [f"k{i}" for i in range(7)] + ["k3", "nothing"]
            expected = [b"v%d" % i for i in range(7)] + [b"v3", None]
            equal(conn.cmd("MGET", *keys), expected)
            redis.cmd("ECHO", "end of the log")
            seen = []
            while b"end of the log" not in (line := monitor.read()):
                seen.append(line)
        reads = b"\n".join(line for line in seen if b'"pttl"' not in line.lower())
        for present in (b'"k1"', b'"k3"', b'"k5"'):
            true(present not in reads, f"{present} was asked for again: {reads}")
        for absent in (b'"k0"', b'"k2"', b'"nothing"'):
            true(absent in reads, f"{absent} was not asked for: {reads}")


@case
def an_mget_of_warm_keys_is_served_without_the_upstream(env):
    redis, daemon = env.stack()
    redis.cmd("MSET", "a", "1", "b", "2")
    with daemon.connect() as conn:
        warm(redis, conn, "a", "b", "absent")
        served_locally(redis, conn, "MGET", "a", "b", "absent", "a",
                       expected=[b"1", b"2", None, b"1"])


@case
def an_mget_warms_the_keys_it_fetched(env):
    redis, daemon = env.stack()
    redis.cmd("MSET", "a", "1", "b", "2")
    with daemon.connect() as conn:
        def hit():
            conn.cmd("MGET", "a", "b")
            before = redis.calls("get", "mget")
            conn.cmd("MGET", "a", "b")
            return redis.calls("get", "mget") == before
        eventually(hit, "an MGET is served from L1")
        served_locally(redis, conn, "GET", "a", expected=b"1")


@case(direct=True)
def an_mget_over_wrong_types_and_duplicates_answers_as_redis_does(env):
    redis = env.redis()
    daemon = env.daemon(redis, fills=True)
    redis.cmd("RPUSH", "list", "x")
    redis.cmd("SET", "a", "1")
    with daemon.connect() as conn:
        for _ in range(5):
            equal(conn.cmd("MGET", "a", "list", "a", "none", "a"), [b"1", None, b"1", None, b"1"])
            reply = conn.cmd("GET", "list")
            true(repr(reply).find("WRONGTYPE") >= 0, reply)


@case
def a_missing_key_is_remembered_and_its_creation_elsewhere_is_seen(env):
    redis, daemon = env.stack()
    with daemon.connect() as conn:
        warm(redis, conn, "absent")
        served_locally(redis, conn, "GET", "absent", expected=None)
        redis.cmd("SET", "absent", "now here")
        eventually(lambda: conn.cmd("GET", "absent") == b"now here", "the creation is seen")


@case
def a_missing_key_expires_by_its_own_ttl(env):
    redis, daemon = env.stack({"l1": {"negative_ttl": "300ms"}})
    with daemon.connect() as conn:
        warm(redis, conn, "absent")
        before = redis.calls("get")
        eventually(lambda: conn.cmd("GET", "absent") is None and redis.calls("get") > before,
                   "the negative entry ran out")


@case
def an_entry_expires_by_the_policy_ttl(env):
    redis, daemon = env.stack({"l1": {"ttl": "300ms", "negative_ttl": "300ms"}})
    redis.cmd("SET", "k", "v")
    with daemon.connect() as conn:
        conn.cmd("GET", "k")
        before = redis.calls("get")
        eventually(lambda: conn.cmd("GET", "k") == b"v" and redis.calls("get") > before,
                   "the entry ran out")


@case(direct=True)
def an_entry_never_outlives_its_key(env):
    redis = env.redis()
    daemon = env.daemon(redis, fills=True)
    # Active expiry off: no push tells the daemon, only the TTL that came with the value.
    redis.cmd("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    with daemon.connect() as conn, redis.connect() as upstream:
        for round_ in range(5):
            upstream.cmd("SET", f"k{round_}", "v", "PX", 400)
            while True:
                gone_before = upstream.cmd("PTTL", f"k{round_}") == -2
                value = conn.cmd("GET", f"k{round_}")
                if gone_before:
                    equal(value, None, "served after its TTL had run out upstream")
                    break
                true(value in (b"v", None), value)


@case
def expire_shortens_the_life_of_a_warm_entry(env):
    redis, daemon = env.stack()
    redis.cmd("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    redis.cmd("SET", "k", "v")
    with daemon.connect() as conn, redis.connect() as upstream:
        warm(redis, conn, "k")
        equal(conn.cmd("PEXPIRE", "k", 300), 1)
        equal(conn.cmd("GET", "k"), b"v")
        eventually(lambda: upstream.cmd("PTTL", "k") == -2, "the TTL runs out upstream")
        equal(conn.cmd("GET", "k"), None, "served after its TTL had run out upstream")


@case
def lock_like_keys_and_volatile_reads_are_always_forwarded(env):
    redis, daemon = env.stack({"l1": {"never_cache": ["lock:*"]}})
    redis.cmd("SET", "lock:a", "holder")
    redis.cmd("SADD", "s", "a", "b", "c")
    with daemon.connect() as conn:
        forwarded(redis, conn, "GET", "lock:a", times=10)
        for command in (("TTL", "lock:a"), ("PTTL", "lock:a"), ("SRANDMEMBER", "s"), ("TIME",),
                        ("RANDOMKEY",), ("DBSIZE",)):
            before = redis.calls(command[0].lower())
            for _ in range(3):
                conn.cmd(*command)
            true(redis.calls(command[0].lower()) - before >= 3, f"{command} was not forwarded")


@case
def a_key_taken_as_a_lock_is_not_cached(env):
    redis, daemon = env.stack()
    with daemon.connect() as one, daemon.connect() as two:
        for i in range(50):
            equal(one.cmd("SET", "job:lock", f"owner{i}", "NX", "PX", 10_000), b"OK")
            equal(two.cmd("SET", "job:lock", "thief", "NX", "PX", 10_000), None)
            equal(two.cmd("GET", "job:lock"), b"owner%d" % i)
            equal(one.cmd("DEL", "job:lock"), 1)
            equal(two.cmd("GET", "job:lock"), None)


@case
def a_value_beyond_the_entry_limit_is_served_but_not_kept(env):
    redis, daemon = env.stack({"l1": {"entry_bytes_max": "1kb"}})
    redis.cmd("SET", "big", "x" * 4096)
    redis.cmd("SET", "small", "x" * 100)
    with daemon.connect() as conn:
        warm(redis, conn, "small")
        before = redis.calls("get")
        for _ in range(10):
            equal(conn.cmd("GET", "big"), b"x" * 4096)
        true(redis.calls("get") - before >= 10, "a value beyond the limit came from L1")


@case
def l1_may_be_switched_off(env):
    redis, daemon = env.stack({"l1": {"enabled": False}}, fills=False)
    daemon.wait_ready()
    redis.cmd("SET", "k", "v")
    with daemon.connect() as conn:
        forwarded(redis, conn, "GET", "k", times=20)


@case
def l1_stays_within_its_bytes(env):
    redis, daemon = env.stack({"l1": {"bytes": "4mb"}})
    before = daemon.rss_bytes()
    with daemon.connect() as conn:
        for at in range(0, 20_000, 500):
            conn.pipeline(*[("SET", f"k{i}", "x" * 1000) for i in range(at, at + 500)])
        for _ in range(2):
            for at in range(0, 20_000, 500):
                replies = conn.pipeline(*[("GET", f"k{i}") for i in range(at, at + 500)])
                true(all(len(reply) == 1000 for reply in replies), "a value is missing")
    grown = daemon.rss_bytes() - before
    env.note(f"RSS grew by {grown / 1e6:.1f} MB while 20 MB of values went through a 4 MB L1")
    from harness.env import sanitized
    true(grown < (400e6 if sanitized() else 20e6), f"RSS grew by {grown}")


@case
def a_scan_over_cold_keys_does_not_push_out_the_hot_ones(env):
    redis, daemon = env.stack({"l1": {"bytes": "2mb"}})
    hot = [f"hot{i}" for i in range(200)]
    with daemon.connect() as conn:
        for key in hot:
            conn.cmd("SET", key, "h" * 500)
        for _ in range(4):
            conn.pipeline(*[("GET", key) for key in hot])
        for at in range(0, 12_000, 400):
            conn.pipeline(*[("SET", f"cold{i}", "c" * 500) for i in range(at, at + 400)])
        for at in range(0, 12_000, 400):
            conn.pipeline(*[("GET", f"cold{i}") for i in range(at, at + 400)])
            conn.pipeline(*[("GET", key) for key in hot])
        before = redis.calls("get")
        conn.pipeline(*[("GET", key) for key in hot])
        missed = redis.calls("get") - before
    env.note(f"{missed} of 200 hot keys were missing after a scan of six times the L1")
    true(missed <= 40, f"{missed} of 200 hot keys were pushed out")


@case
def the_same_key_in_two_databases_is_two_entries(env):
    redis, daemon = env.stack()
    with redis.connect() as upstream:
        upstream.cmd("SET", "k", "zero")
        upstream.cmd("SELECT", 1)
        upstream.cmd("SET", "k", "one")
        with daemon.connect() as zero, daemon.connect() as one:
            one.cmd("SELECT", 1)
            for _ in range(10):
                equal(zero.cmd("GET", "k"), b"zero")
                equal(one.cmd("GET", "k"), b"one")
            upstream.cmd("SET", "k", "one again")
            eventually(lambda: one.cmd("GET", "k") == b"one again", "the write in db 1 is seen")
            equal(zero.cmd("GET", "k"), b"zero")


@case
def another_user_never_reads_from_the_shared_cache(env):
    redis, daemon = env.stack()
    redis.cmd("ACL", "SETUSER", "limited", "on", ">pw", "~public:*", "+@all")
    redis.cmd("SET", "secret", "s")
    redis.cmd("SET", "public:a", "p")
    with daemon.connect() as owner, daemon.connect() as limited:
        warm(redis, owner, "secret")
        reply = limited.cmd("AUTH", "limited", "pw")
        if reply == b"OK":
            reply = limited.cmd("GET", "secret")
            true("NOPERM" in repr(reply), f"a cached value was served past the ACL: {reply!r}")
            equal(limited.cmd("GET", "public:a"), b"p")
        else:
            true(repr(reply).startswith("RespError"), reply)
        equal(owner.cmd("GET", "secret"), b"s")


@case
def a_wrongtype_error_is_never_remembered(env):
    redis, daemon = env.stack()
    redis.cmd("RPUSH", "k", "x")
    with daemon.connect() as conn:
        for _ in range(3):
            true("WRONGTYPE" in repr(conn.cmd("GET", "k")), "no WRONGTYPE")
        before = redis.calls("get")
        conn.cmd("GET", "k")
        true(redis.calls("get") > before, "an error came from memory")
        redis.cmd("DEL", "k")
        redis.cmd("SET", "k", "string now")
        eventually(lambda: conn.cmd("GET", "k") == b"string now", "the new type is seen")
