"""The contract measured in production: the canary, and hits compared with the upstream."""

from cases.l1 import warm
from harness.registry import case
from harness.wait import equal, eventually, true


@case
def the_canary_measures_how_soon_a_change_is_heard_of(env):
    redis, daemon = env.stack({"verify": {"canary_key": "nc:canary", "canary_interval": "100ms"}})
    rounds = "nearcached_canary_rounds_total"
    eventually(lambda: daemon.metrics().total(rounds, result="heard") >= 5, "rounds go on")
    metrics = daemon.metrics()
    equal(metrics.total(rounds, result="failed"), 0)
    true(0 < metrics.total("nearcached_canary_last_delay_seconds") < 5, "a plausible delay")
    true(metrics.total("nearcached_canary_delay_seconds_count") >= 5, "each is in the histogram")
    keys = redis.cmd("KEYS", "nc:canary:*")
    equal(len(keys), 1, "one key")
    true(0 < redis.cmd("PTTL", keys[0]) <= 60_000, "it expires by itself")


@case
def a_canary_in_a_cluster_lives_wherever_its_key_belongs(env):
    cluster = env.cluster(primaries=3, replicas=0)
    daemon = env.daemon(cluster, {"verify": {"canary_key": "c", "canary_interval": "100ms"}})
    eventually(lambda: daemon.metrics().total("nearcached_canary_rounds_total", result="heard") >= 3,
               "rounds go on")


@case
def an_invalidation_that_is_held_back_is_overdue(env):
    redis = env.redis()
    relay = env.relay(redis)
    daemon = env.daemon(relay, {"verify": {"canary_key": "c", "canary_interval": "100ms"},
                                "upstream": {"health_interval": "100ms", "health_misses": 3}})
    rounds = "nearcached_canary_rounds_total"
    eventually(lambda: daemon.metrics().total(rounds, result="heard") >= 1, "rounds go on")
    relay.hold()
    eventually(lambda: daemon.metrics().total(rounds, result="overdue") >= 1, "it is noticed")


@case
def hits_that_are_compared_agree_while_keys_change(env):
    redis = env.redis()
    daemon = env.daemon(redis, {"verify": {"hit_rate": 1}})
    daemon.wait_ready()
    with daemon.connect() as conn, redis.connect() as writer:
        checks = "nearcached_hit_checks_total"
        version = 0

        def read_on():
            nonlocal version
            version += 1
            writer.cmd("SET", "k", version)
            for _ in range(10):
                conn.cmd("GET", "k")
            return daemon.metrics().total(checks, result="agreed") > 50
        eventually(read_on, "most agree")
    equal(daemon.metrics().total(checks, result="broken"), 0)
    equal(daemon.metrics().total(checks, result="failed"), 0)


def _frequency_after_hits(env, rate):
    """(OBJECT FREQ of a key that was read 20,000 times from memory, reads the server saw of it)."""
    redis = env.redis("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lfu", "--lfu-log-factor", "1")
    daemon = env.daemon(redis, {"l1": {"touch_rate": rate, "ttl": "60s"}})
    daemon.wait_ready()
    redis.cmd("SET", "hot", "v")
    with daemon.connect() as conn:
        warm(redis, conn, "hot")
        gets = redis.calls("get")
        for _ in range(20):
            equal(set(conn.pipeline(*[["GET", "hot"]] * 1000)), {b"v"})
    if rate:
        eventually(lambda: redis.calls("touch") > 0, "the server is told")
        equal(daemon.metrics().total("nearcached_touched_keys_total", result="failed"), 0)
    return redis.cmd("OBJECT", "FREQ", "hot"), redis.calls("get") - gets


@case
def a_server_that_evicts_by_lfu_hears_of_keys_that_are_read_from_memory(env):
    silent, unseen = _frequency_after_hits(env, 0)
    told, seen = _frequency_after_hits(env, 0.01)
    env.note(f"OBJECT FREQ after 20,000 hits: {silent} without l1.touch_rate, {told} at 0.01")
    true(unseen < 100 and seen < 100, f"read by {unseen} and {seen} GETs: those were no hits")
    true(told >= 3 * silent, f"{silent} and {told}")
