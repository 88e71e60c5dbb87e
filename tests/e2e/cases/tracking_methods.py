"""How the server tells of changes: redirected to a link of its own, or broadcast by prefix."""

from cases.l1 import warm
from harness.registry import case
from harness.wait import equal, eventually, true


def _modes(daemon):
    return str(daemon.cmd("NEARCACHE", "TRACKING"))


def _changes_show(redis, daemon, key):
    with daemon.connect() as conn:
        warm(redis, conn, key)
        redis.cmd("SET", key, "changed")
        eventually(lambda: conn.cmd("GET", key) == b"changed", "a change made elsewhere shows")


@case
def tracking_can_be_redirected_to_a_link_of_its_own(env):
    redis, daemon = env.stack({"tracking": {"method": "redirect"}, "l1": {"commands": ["all"]}})
    redis.cmd("SET", "k", "v")
    _changes_show(redis, daemon, "k")
    true("armed (redirect)" in _modes(daemon), _modes(daemon))
    with daemon.connect() as conn:
        warm(redis, conn, "k")
        redis.cmd("FLUSHALL")
        eventually(lambda: conn.cmd("GET", "k") is None, "a flush is heard")
    true("read_needs_order" in repr(daemon.cmd("NEARCACHE", "EXPLAIN", "HGETALL", "h")), "EXPLAIN")


@case
def a_lost_tracking_link_takes_what_it_covered_along(env):
    redis, daemon = env.stack({"tracking": {"method": "redirect"}})
    redis.cmd("SET", "k", "old")
    with daemon.connect() as conn:
        warm(redis, conn, "k")
    for row in redis.clients():
        if "P" in row["flags"]:
            redis.cmd("CLIENT", "KILL", "ID", row["id"])
    redis.cmd("SET", "k", "new")
    eventually(lambda: daemon.cmd("GET", "k") == b"new", "nothing that nobody watches is served")
    equal(daemon.metrics().total("nearcached_trackers_lost_total"), 1)
    _changes_show(redis, daemon, "k")


@case
def a_broadcast_covers_the_rules_and_nothing_else(env):
    redis = env.redis()
    daemon = env.daemon(redis, {"tracking": {"method": "bcast"},
                                "rules": [{"prefix": "user:"}, {"prefix": "page:"}]})
    daemon.wait_ready()
    redis.cmd("SET", "user:1", "v")
    _changes_show(redis, daemon, "user:1")
    true("armed (bcast)" in _modes(daemon), _modes(daemon))
    true("not_broadcast" in repr(daemon.cmd("NEARCACHE", "EXPLAIN", "GET", "other")), "EXPLAIN")


@case
def a_server_that_tells_no_ids_is_cached_by_ttl_alone(env):
    redis = env.redis()
    redis.cmd("ACL", "SETUSER", "default", "-info")
    daemon = env.daemon(redis, {"tracking": {"method": "redirect"}, "rules": [{"prefix": "", "ttl": "2s"}]})
    eventually(lambda: "ttl-only" in _modes(daemon), "it is said")
    equal(daemon.metrics().total("nearcached_tracking_state"), 1)
