"""The contract measured in production: the canary, and hits compared with the upstream."""

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
