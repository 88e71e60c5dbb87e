"""Others say over Pub/Sub which keys have changed (INVALIDATION.md)."""

import json
import threading

from cases.l1 import served_locally, warm
from harness.registry import case
from harness.wait import equal, eventually, true

_CHANNEL = "cache:changes"
_TTL_ONLY = {"tracking": {"mode": "off"}, "rules": [{"prefix": "", "ttl": "60s"}],
             "invalidation": {"channels": [_CHANNEL], "origin": "pod-1"}}


def _counted(daemon, name, **labels):
    return daemon.metrics().total(name, **labels)


def _subscribed(daemon):
    return _counted(daemon, "nearcached_event_channels_subscribed") > 0


def _stack(env, extra=None, *redis_args):
    redis = env.redis(*redis_args)
    config = dict(_TTL_ONLY)
    config.update(extra or {})
    daemon = env.daemon(redis, config)
    daemon.wait_ready()
    eventually(lambda: _subscribed(daemon), "the channel is subscribed to")
    return redis, daemon


def _publish(redis, payload):
    text = payload if isinstance(payload, str) else json.dumps(payload)
    true(redis.cmd("PUBLISH", _CHANNEL, text) >= 1, "nobody is subscribed")


def _sees(conn, key, value):
    eventually(lambda: conn.cmd("GET", key) == value, f"{key} is {value}")


@case
def without_tracking_a_published_key_is_read_anew_and_others_are_not(env):
    redis, daemon = _stack(env)
    redis.cmd("MSET", "a", "1", "b", "1", "p:1", "1", "p:2", "1")
    with daemon.connect() as conn:
        warm(redis, conn, "a", "b", "p:1", "p:2")
        redis.cmd("MSET", "a", "2", "b", "2", "p:1", "2", "p:2", "2")
        equal(conn.cmd("GET", "a"), b"1", "nobody has told the sidecar")
        _publish(redis, "a\nnothing")
        _sees(conn, "a", b"2")
        equal(conn.cmd("MGET", "b", "p:1", "p:2"), [b"1", b"1", b"1"], "these were not named")
        _publish(redis, {"keys": ["b"], "prefixes": ["p:"]})
        _sees(conn, "b", b"2")
        equal(conn.cmd("MGET", "p:1", "p:2"), [b"2", b"2"], "the prefix came in the same message")
        served_locally(redis, conn, "GET", "a", expected=b"2")
        redis.cmd("SET", "a", "3")
        _publish(redis, {"all": True})
        _sees(conn, "a", b"3")


@case
def an_own_echo_and_an_unreadable_message_drop_nothing(env):
    redis, daemon = _stack(env)
    redis.cmd("SET", "k", "1")
    with daemon.connect() as conn:
        warm(redis, conn, "k")
        redis.cmd("SET", "k", "2")
        _publish(redis, {"keys": ["k"], "origin": "pod-1"})
        for bad in ('{"keys": "k"}', '{"keys": ["k"]', "", "{}"):
            _publish(redis, bad)
        messages = "nearcached_event_messages_total"
        eventually(lambda: _counted(daemon, messages, result="unreadable") == 4, "they came")
        equal(_counted(daemon, messages, result="own_origin"), 1)
        equal(conn.cmd("GET", "k"), b"1", "something was dropped")
        _publish(redis, {"keys": ["k"], "origin": "pod-2"})
        _sees(conn, "k", b"2")


@case
def what_was_missed_while_the_subscription_was_lost_is_made_up_for(env):
    redis, daemon = _stack(env)
    redis.cmd("SET", "k", "1")
    with daemon.connect() as conn:
        warm(redis, conn, "k")
        lost = [row["id"] for row in redis.clients() if int(row["sub"]) > 0]
        equal(len(lost), 1, "one subscription")
        redis.cmd("CLIENT", "KILL", "ID", lost[0])
        redis.cmd("SET", "k", "2")
        redis.cmd("PUBLISH", _CHANNEL, "k")
        _sees(conn, "k", b"2")
    eventually(lambda: _subscribed(daemon), "subscribed again")
    equal(_counted(daemon, "nearcached_event_subscriptions_total", result="lost"), 1)


@case
def keyevents_of_a_server_keep_a_cache_without_tracking_coherent(env):
    redis, daemon = _stack(env, {"invalidation": {"channels": ["__keyevent@0__:*"]}},
                           "--notify-keyspace-events", "EA")
    with daemon.connect() as conn:
        for key in ("k", 'odd\n{"all":true}'):
            redis.cmd("SET", key, "1")
            warm(redis, conn, key)
            redis.cmd("SET", key, "2")
            _sees(conn, key, b"2")
            redis.cmd("DEL", key)
            _sees(conn, key, None)


@case
def a_reader_is_never_behind_a_message_that_has_arrived(env):
    """A writer past the sidecar publishes each version. The sidecar's own count of messages says
    when one has arrived; from then on nobody may read an older version."""
    redis, daemon = _stack(env)
    redis.cmd("SET", "v", "0")
    done = threading.Event()

    def read():
        with daemon.connect() as conn:
            while not done.is_set():
                conn.cmd("GET", "v")  # keeps flights in the air while messages come

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        messages = "nearcached_event_messages_total"
        with daemon.connect() as conn, redis.connect() as writer:
            for version in range(1, 200):
                writer.cmd("SET", "v", version)
                writer.cmd("PUBLISH", _CHANNEL, "v")
                eventually(lambda v=version: _counted(daemon, messages, result="applied") >= v,
                           "the message arrives", step=0.001)
                true(int(conn.cmd("GET", "v")) >= version, "older than the message")
    finally:
        done.set()
        for thread in threads:
            thread.join()


@case
def in_a_cluster_a_message_is_heard_wherever_it_is_published(env):
    cluster = env.cluster(primaries=3, replicas=0)
    daemon = env.daemon(cluster, _TTL_ONLY)
    eventually(lambda: _subscribed(daemon), "the channel is subscribed to")
    with daemon.connect() as conn:
        for number, node in enumerate(cluster.nodes):
            key = f"k{number}"
            cluster.cmd("SET", key, "1")
            conn.cmd("GET", key)
            cluster.cmd("SET", key, "2")
            equal(conn.cmd("GET", key), b"1", "it is cached")
            node.cmd("PUBLISH", _CHANNEL, key)
            _sees(conn, key, b"2")


@case
def other_channels_are_taken_up_by_a_reload(env):
    redis, daemon = _stack(env)
    redis.cmd("SET", "k", "1")
    with daemon.connect() as conn:
        warm(redis, conn, "k")
        config = dict(daemon.config)
        config["invalidation"] = {"channels": ["other"]}
        daemon.write_config(config)
        equal(conn.cmd("NEARCACHE", "RELOAD"), b"OK")
        eventually(lambda: redis.cmd("PUBSUB", "CHANNELS") == [b"other"], "the new channel")
        eventually(lambda: _subscribed(daemon), "it stands")
        warm(redis, conn, "k")
        redis.cmd("SET", "k", "2")
        redis.cmd("PUBLISH", "other", "k")
        _sees(conn, "k", b"2")


@case
def a_key_is_dropped_by_hand(env):
    redis, daemon = env.stack(_TTL_ONLY)
    redis.cmd("MSET", "a", "1", "b", "1")
    with daemon.connect() as conn:
        warm(redis, conn, "a", "b")
        redis.cmd("MSET", "a", "2", "b", "2")
        equal(conn.cmd("NEARCACHE", "INVALIDATE", "a", "nothing"), 1)
        equal(conn.cmd("MGET", "a", "b"), [b"2", b"1"])
