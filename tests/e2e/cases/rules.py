"""Policy per key prefix."""

from cases.l1 import forwarded, served_locally, warm
from harness.registry import case
from harness.wait import equal, eventually, true


@case
def a_prefix_may_be_left_out_of_the_cache(env):
    redis, daemon = env.stack({"rules": [{"prefix": "session:", "cache": False}]})
    redis.cmd("MSET", "session:1", "s", "user:1", "u")
    with daemon.connect() as conn:
        warm(redis, conn, "user:1")
        forwarded(redis, conn, "GET", "session:1", times=20)
        served_locally(redis, conn, "GET", "user:1", expected=b"u")


@case
def a_prefix_has_its_own_ttl(env):
    redis, daemon = env.stack({"rules": [{"prefix": "short:", "ttl": "250ms"}]})
    redis.cmd("MSET", "short:1", "s", "long:1", "l")
    with daemon.connect() as conn:
        warm(redis, conn, "long:1")
        conn.cmd("GET", "short:1")
        before = redis.calls("get")
        eventually(lambda: conn.cmd("GET", "short:1") == b"s" and redis.calls("get") > before,
                   "the short one ran out")
        served_locally(redis, conn, "GET", "long:1", expected=b"l")


@case
def a_prefix_has_its_own_negative_ttl_and_entry_limit(env):
    redis, daemon = env.stack({"rules": [
        {"prefix": "n:", "negative_ttl": "250ms"}, {"prefix": "b:", "entry_bytes_max": "512b"}]})
    redis.cmd("SET", "b:1", "x" * 2000)
    redis.cmd("SET", "c:1", "x" * 2000)
    with daemon.connect() as conn:
        conn.cmd("GET", "n:1")
        before = redis.calls("get")
        eventually(lambda: conn.cmd("GET", "n:1") is None and redis.calls("get") > before,
                   "the negative entry ran out")
        forwarded(redis, conn, "GET", "b:1", times=5)
        warm(redis, conn, "c:1")


@case
def the_longest_prefix_wins(env):
    redis, daemon = env.stack({"rules": [
        {"prefix": "a:", "cache": False}, {"prefix": "a:b:", "cache": True},
        {"prefix": "a:b:c:", "cache": False}]})
    redis.cmd("MSET", "a:1", "1", "a:b:1", "2", "a:b:c:1", "3")
    with daemon.connect() as conn:
        warm(redis, conn, "a:b:1")
        forwarded(redis, conn, "GET", "a:1")
        forwarded(redis, conn, "GET", "a:b:c:1")


@case
def a_mixed_mget_respects_the_rules_of_each_key(env):
    redis, daemon = env.stack({"rules": [{"prefix": "live:", "cache": False}]})
    redis.cmd("MSET", "live:1", "1", "kept:1", "k")
    with daemon.connect() as conn, redis.connect() as upstream:
        for i in range(20):
            upstream.cmd("SET", "live:1", i)
            equal(conn.cmd("MGET", "kept:1", "live:1"), [b"k", b"%d" % i])


@case
def ttl_jitter_only_shortens(env):
    redis, daemon = env.stack({"l1": {"ttl": "500ms", "negative_ttl": "500ms", "ttl_jitter": 0.5}})
    with daemon.connect() as conn:
        for i in range(50):
            redis.cmd("SET", f"k{i}", "v")
        conn.pipeline(*[("GET", f"k{i}") for i in range(50)])
        before = redis.calls("get")
        eventually(lambda: redis.calls("get") - before >= 50 or not conn.pipeline(
            *[("GET", f"k{i}") for i in range(50)]), "all the entries ran out", timeout=10)
    true(daemon.alive(), "gone")


@case
def explain_names_the_rule_and_the_reason(env):
    redis, daemon = env.stack({"rules": [{"prefix": "session:", "cache": False},
                                         {"prefix": "user:", "ttl": "7s"}]})
    with daemon.connect() as conn:
        text = repr(conn.cmd("NEARCACHE", "EXPLAIN", "GET", "session:1"))
        true("session:" in text, text)
        text = repr(conn.cmd("NEARCACHE", "EXPLAIN", "GET", "user:1"))
        true("user:" in text, text)
        for command in (("SET", "a", "1"), ("TTL", "a"), ("SRANDMEMBER", "s"), ("NOSUCH", "x"),
                        ("GET", "plain")):
            reply = conn.cmd("NEARCACHE", "EXPLAIN", *command)
            true(not repr(reply).startswith("RespError") and reply, f"{command}: {reply!r}")


@case
def a_rule_whose_entries_die_unread_rests_and_is_not_tracked_meanwhile(env):
    redis, daemon = env.stack({"l1": {"adaptive_stop": "rules", "adaptive_stop_after": 50},
                               "rules": [{"prefix": "churn:"}]})
    with daemon.connect() as conn, redis.connect() as writer:
        for i in range(60):
            writer.cmd("SET", f"churn:{i}", "1")
            conn.cmd("GET", f"churn:{i}")
            writer.cmd("SET", f"churn:{i}", "2")

        def why():
            reply = conn.cmd("NEARCACHE", "EXPLAIN", "GET", "churn:x")
            return dict(zip(reply[::2], reply[1::2]))[b"reason"]
        eventually(lambda: why() == b"adaptive_stop", "the rule is stopped")
        tracked = int(redis.info("tracking_total_keys"))
        for i in range(60):
            equal(conn.cmd("GET", f"churn:{i}"), b"2")
        true(int(redis.info("tracking_total_keys")) <= tracked, "what is not stored is tracked")
        forwarded(redis, conn, "GET", "churn:1")
        redis.cmd("SET", "other", "1")
        warm(redis, conn, "other")
        equal(daemon.metrics().total("nearcached_l1_rules_stopped"), 1)
