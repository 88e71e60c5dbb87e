"""upstream.read_from in a Redis Cluster: each shard's replicas answer for its keys, and lie to nobody."""

import signal
import time

from cases.cluster_move import Load
from harness.cluster import slot_of
from harness.registry import case
from harness.resp import RespError
from harness.wait import equal, eventually, true

_PLAIN = {"rules": [{"prefix": "plain:", "cache": False}]}


def _stack(env, policy="prefer_replica", **upstream):
    cluster = env.cluster(replicas=1)
    daemon = env.daemon(cluster, {**_PLAIN, "upstream": {"read_from": policy, "health_interval": "200ms",
                                                         "replica_lag_max": "5s", **upstream}}, fills=False)
    eventually(lambda: daemon.metrics().total("nearcached_replicas_readable") == 3, "a replica of each shard can be read",
               timeout=30)
    return cluster, daemon


def _gets(node):
    for line in node.cmd("INFO", "commandstats").decode().splitlines():
        if line.startswith("cmdstat_get:"):
            return int(line.split("calls=")[1].split(",")[0])
    return 0


def _replicas(cluster):
    return [node for node in cluster.nodes if node.role() == "slave"]


def _reach(conn, cluster, keys):
    """Reads until every replica was asked: lanes are made when they are first wanted."""
    def asked():
        conn.pipeline(*[("GET", key) for key in keys])
        return all(_gets(node) > 0 for node in _replicas(cluster))
    eventually(asked, "every replica is asked", timeout=20)


@case(timeout=60)
def reads_go_to_the_replicas_of_their_shard_and_what_is_not_there_to_its_primary(env):
    cluster, daemon = _stack(env)
    keys = [f"plain:{i}" for i in range(60)]
    with daemon.connect() as conn:
        equal(set(conn.pipeline(*[("SET", key, key) for key in keys])), {b"OK"})
        _reach(conn, cluster, keys)
        time.sleep(0.5)  # the replicas are known to have the writes
        before = cluster.calls("get")
        replicas_before = sum(_gets(node) for node in _replicas(cluster))
        for _ in range(5):
            equal(conn.pipeline(*[("GET", key) for key in keys]), [key.encode() for key in keys])
        asked = sum(_gets(node) for node in _replicas(cluster)) - replicas_before
        equal(asked, 5 * len(keys))
        equal(cluster.calls("get") - before, asked, "a primary was asked as well")
        equal(conn.cmd("STRLEN", keys[0]), len(keys[0]))
        equal(conn.cmd("MGET", *keys), [key.encode() for key in keys])  # of several keys: the primaries
        again = daemon.metrics().total("nearcached_replica_reads_asked_again_total")
        equal(conn.cmd("GET", "plain:nothing"), None)
        equal(conn.cmd("EXISTS", "plain:nothing"), 0)
        equal(daemon.metrics().total("nearcached_replica_reads_asked_again_total"), again + 2)
        rows = str(conn.cmd("NEARCACHE", "UPSTREAMS"))
        true(all(f":{node.port}" in rows for node in cluster.nodes), f"NEARCACHE UPSTREAMS does not name all: {rows}")
        equal(conn.cmd("SET", keys[1], "new"), b"OK")
        equal(conn.cmd("GET", keys[1]), b"new")


@case(timeout=120)
def slots_that_migrate_are_never_read_as_empty(env):
    """The source's replicas have lost what has moved, and say so; the target's may not have it yet."""
    cluster, daemon = _stack(env)
    tags = ["a", "b", "c", "d"]
    keys = [f"plain:{{{tag}}}:{i}" for tag in tags for i in range(8)]
    with daemon.connect() as conn:
        equal(set(conn.pipeline(*[("SET", key, 0) for key in keys])), {b"OK"})
        _reach(conn, cluster, [f"plain:{i}" for i in range(60)])
    moved = 0
    with Load(daemon, keys, writers=1, monotonic=False) as load:
        for _ in range(2):
            for tag in tags:
                slot = slot_of(f"{{{tag}}}")
                source = cluster.owner(slot)
                primaries = [node for node in cluster.nodes if node.role() == "master"]
                target = primaries[(primaries.index(source) + 1) % 3]
                cluster.migrate(slot, source, target, keys_at_once=2, pause=0.05)
                moved += 1
    metrics = daemon.metrics()
    env.note(f"{moved} slots moved; {load.summary()}; "
             f"{metrics.total('nearcached_replica_reads_total', to='replica'):.0f} reads were asked of replicas, "
             f"{metrics.total('nearcached_replica_reads_asked_again_total'):.0f} of them of primaries after that")
    equal(load.stale, [])
    equal([text for _, text in load.errors], [])
    true(metrics.total("nearcached_replica_reads_total", to="replica") > 0, "no replica was asked")


@case(timeout=120)
def a_replica_that_dies_is_nobodys_error_and_one_that_is_promoted_is_a_primary(env):
    cluster, daemon = _stack(env)
    keys = [f"plain:{i}" for i in range(60)]
    with daemon.connect() as conn:
        equal(set(conn.pipeline(*[("SET", key, key) for key in keys])), {b"OK"})
        _reach(conn, cluster, keys)
        dead, successor, _ = _replicas(cluster)
        dead.signal(signal.SIGKILL)
        until = time.monotonic() + 2
        while time.monotonic() < until:
            equal(conn.pipeline(*[("GET", key) for key in keys]), [key.encode() for key in keys])
        eventually(lambda: daemon.metrics().total("nearcached_replicas_readable") == 2, "it is left")
        equal(successor.cmd("CLUSTER", "FAILOVER"), b"OK")
        eventually(lambda: successor.role() == "master", "it is promoted")

        def all_right():
            replies = conn.pipeline(*[("GET", key) for key in keys])
            true(all(isinstance(reply, RespError) or reply == key.encode() for key, reply in zip(keys, replies)),
                 "a read shows what never was")
            return replies == [key.encode() for key in keys]
        eventually(all_right, "every key is read again", timeout=20)
        eventually(lambda: daemon.metrics().total("nearcached_replicas_readable") == 2,
                   "the old primary is read as a replica", timeout=20)
        equal(conn.cmd("SET", keys[0], "after"), b"OK")
        equal(conn.cmd("GET", keys[0]), b"after")
