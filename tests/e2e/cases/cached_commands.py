"""Which commands' replies are kept, for which keys, in which shape, and how many."""

import signal

from harness.registry import case
from harness.resp import RespError
from harness.wait import equal, eventually, true


def kept(redis, conn, *command):
    """The command is served from L1, sooner or later."""
    name = command[0].lower()

    def hit():
        conn.cmd(*command)
        before = redis.calls(name)
        conn.cmd(*command)
        return redis.calls(name) == before

    eventually(hit, f"{command} is served from L1")


def forwarded(redis, conn, *command, times=5):
    name = command[0].lower()
    before = redis.calls(name)
    replies = [conn.cmd(*command) for _ in range(times)]
    equal(redis.calls(name) - before, times, f"{command} was not forwarded each time")
    return replies


@case
def a_rule_says_which_commands_are_kept_and_explain_agrees(env):
    redis, daemon = env.stack({"rules": [{"prefix": "h:", "commands": ["HGETALL", "hget"]}]})
    redis.cmd("HSET", "h:1", "f", "v")
    redis.cmd("HSET", "other", "f", "v")
    with daemon.connect() as conn:
        kept(redis, conn, "HGETALL", "h:1")
        kept(redis, conn, "hGeT", "h:1", "f")
        forwarded(redis, conn, "HLEN", "h:1")
        forwarded(redis, conn, "HGETALL", "other")
        for command, reason in ((("HGETALL", "h:1"), "cacheable"), (("HLEN", "h:1"), "command_not_listed"),
                                (("GET", "h:1"), "command_not_listed"), (("GET", "other"), "cacheable"),
                                (("HGETALL", "other"), "command_not_listed"),
                                (("EXISTS", "h:1", "h:2"), "command_not_cacheable")):
            true(f"'{reason}'" in repr(conn.cmd("NEARCACHE", "EXPLAIN", *command)), f"{command}: {reason}")


@case
def by_default_get_and_mget_alone_are_kept(env):
    redis, daemon = env.stack()
    redis.cmd("HSET", "h", "f", "v")
    with daemon.connect() as conn:
        conn.cmd("MGET", "a", "b")
        equal(forwarded(redis, conn, "HGETALL", "h"), [[b"f", b"v"]] * 5)
        equal(forwarded(redis, conn, "STRLEN", "a"), [0] * 5)
        equal(daemon.metrics().total("nearcached_l1_variants"), 0)


@case
def each_protocol_has_replies_of_its_own(env):
    redis, daemon = env.stack({"l1": {"commands": "all"}})
    redis.cmd("HSET", "h", "f", "v")
    redis.cmd("ZADD", "z", 1.5, "m")
    with daemon.connect(proto=2) as two, daemon.connect(proto=3) as three:
        for _ in range(5):
            equal(two.cmd("HGETALL", "h"), [b"f", b"v"])
            equal(three.cmd("HGETALL", "h"), {b"f": b"v"})
            equal(two.cmd("ZRANGE", "z", 0, -1, "WITHSCORES"), [b"m", b"1.5"])
            equal(three.cmd("ZRANGE", "z", 0, -1, "WITHSCORES"), [[b"m", 1.5]])
        kept(redis, two, "HGETALL", "h")
        kept(redis, three, "HGETALL", "h")
        equal(daemon.metrics().total("nearcached_l1_variants"), 4)
        redis.cmd("HSET", "h", "f", "w")
        eventually(lambda: two.cmd("HGETALL", "h") == [b"f", b"w"], "the push drops RESP2's")
        equal(three.cmd("HGETALL", "h"), {b"f": b"w"}, "and RESP3's with it")


@case
def without_tracking_get_alone_is_kept(env):
    redis, daemon = env.stack({"tracking": {"mode": "off"},
                               "rules": [{"prefix": "", "ttl": "60s", "commands": ["all"]}]})
    redis.cmd("SET", "k", "v")
    with daemon.connect() as conn:
        kept(redis, conn, "GET", "k")
        equal(forwarded(redis, conn, "STRLEN", "k"), [1] * 5)
        true("read_needs_tracking" in repr(conn.cmd("NEARCACHE", "EXPLAIN", "STRLEN", "k")), "EXPLAIN")


@case
def an_error_is_never_kept_and_a_missing_key_for_its_own_time(env):
    redis, daemon = env.stack({"l1": {"commands": "all", "ttl": "60s", "negative_ttl": "200ms"}})
    redis.cmd("SET", "s", "v")
    with daemon.connect() as conn:
        true(all(isinstance(r, RespError) for r in forwarded(redis, conn, "HGETALL", "s")), "WRONGTYPE")
        conn.cmd("HGETALL", "none")
        equal(daemon.metrics().total("nearcached_l1_negative_entries"), 1)
        before = redis.calls("hgetall")
        eventually(lambda: conn.cmd("HGETALL", "none") == [] and redis.calls("hgetall") > before,
                   "the missing key is asked for again")


@case
def a_client_that_asks_for_every_range_gets_no_more_than_its_share(env):
    redis, daemon = env.stack({"l1": {"commands": "all", "ttl": "60s", "variants_max": 20}})
    redis.cmd("RPUSH", "l", *range(50))
    with daemon.connect() as conn, daemon.connect() as greedy:
        kept(redis, conn, "LRANGE", "l", 0, 9)
        for n in range(0, 900, 300):
            replies = greedy.pipeline(*[("LRANGE", "l", 0, i) for i in range(n, n + 300)])
            equal([len(reply) for reply in replies], [min(i + 1, 50) for i in range(n, n + 300)])
        for n in range(50):
            equal(len(greedy.cmd("LRANGE", "l", n, -1)), 50 - n)
        metrics = daemon.metrics()
        true(metrics.total("nearcached_l1_variants") <= 20, "more variants than a key may have")
        true(metrics.total("nearcached_l1_variants_displaced_total") > 0, "none was displaced")
        before = redis.calls("lrange")
        redis.cmd("LSET", "l", 0, "x")
        eventually(lambda: conn.cmd("LRANGE", "l", 0, 0) == [b"x"], "one push drops them all")
        true(redis.calls("lrange") > before, "asked anew")


@case
def a_large_reply_streams_through_and_is_not_kept(env):
    redis, daemon = env.stack({"l1": {"commands": "all", "entry_bytes_max": "64kb"}})
    for n in range(0, 5_000, 1000):
        redis.cmd("HSET", "h", *[word for i in range(n, n + 1000) for word in (f"field{i}", "v" * 50)])
    for proto in (2, 3):
        with daemon.connect(proto) as conn, redis.connect(proto) as direct:
            truth = direct.cmd("HGETALL", "h")
            for _ in range(3):
                true(conn.cmd("HGETALL", "h") == truth, f"HGETALL of 5,000 fields in protocol {proto}")
            equal(conn.cmd("HGET", "h", "field7"), b"v" * 50)
    equal(daemon.metrics().total("nearcached_l1_command_hits_total", command="hgetall"), 0)


@case
def a_script_is_kept_only_where_it_is_named(env):
    script = "return redis.call('HGET', KEYS[1], ARGV[1])"
    redis, daemon = env.stack({"rules": [{"prefix": "h:", "commands": ["eval_ro"]},
                                         {"prefix": "", "commands": ["all"]}]})
    redis.cmd("HSET", "h:1", "f", "v", "g", "w")
    with daemon.connect() as conn:
        forwarded(redis, conn, "EVAL_RO", script, 1, "other", "f")
        kept(redis, conn, "EVAL_RO", script, 1, "h:1", "f")
        equal(conn.cmd("EVAL_RO", script, 1, "h:1", "f"), b"v")
        equal(conn.cmd("EVAL_RO", script, 1, "h:1", "g"), b"w")
        redis.cmd("HSET", "h:1", "f", "new")
        eventually(lambda: conn.cmd("EVAL_RO", script, 1, "h:1", "f") == b"new", "the push drops it")


@case
def a_reload_changes_what_is_kept(env):
    redis, daemon = env.stack({"l1": {"commands": ["get"]}, "upstream": {"command_timeout": "200ms"}})
    redis.cmd("HSET", "h", "f", "v")
    with daemon.connect() as conn:
        forwarded(redis, conn, "HGETALL", "h")
        daemon.write_config({"l1": {"commands": ["get", "hgetall"]}, "upstream": {"command_timeout": "200ms"}})
        daemon.signal(signal.SIGHUP)
        kept(redis, conn, "HGETALL", "h")
