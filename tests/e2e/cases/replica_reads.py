"""upstream.read_from: what replicas answer, what they never do, and what becomes of it when they go."""

import threading
import time
from types import SimpleNamespace

from harness.registry import case
from harness.replication import ReplicaSet, Sentinels
from harness.resp import RespError
from harness.wait import equal, eventually, true

_RULES = {"rules": [{"prefix": "plain:", "cache": False}]}


def _config(policy, **upstream):
    return {**_RULES, "upstream": {"read_from": policy, "health_interval": "200ms", "replica_lag_max": "5s",
                                   **upstream}}


def _reads(server):
    """GETs that the server has executed."""
    for line in server.cmd("INFO", "commandstats").decode().splitlines():
        if line.startswith("cmdstat_get:"):
            return int(line.split("calls=")[1].split(",")[0])
    return 0


def _readable(daemon, count):
    eventually(lambda: daemon.metrics().total("nearcached_replicas_readable") == count,
               f"{count} replicas can be read", timeout=20)


def _reach_replicas(conn, nodes):
    """Reads until a replica was asked: its lanes are made when they are first wanted."""
    def asked():
        conn.cmd("GET", "plain:warm")
        return sum(_reads(node) for node in nodes.nodes[1:]) > 0
    eventually(asked, "a replica is asked", timeout=20)


@case(timeout=60)
def reads_that_no_rule_caches_go_to_replicas_and_fills_to_the_primary(env):
    for how in ("list", "single", "sentinels"):
        nodes = ReplicaSet(env)
        primary = nodes.nodes[0]
        primary.cmd("MSET", "plain:1", "a", "cached:1", "b")
        upstream = {"list": lambda: nodes, "single": lambda: primary,
                    "sentinels": lambda: Sentinels(env, nodes)}[how]()
        daemon = env.daemon(upstream, _config("prefer_replica"), fills=False)
        _readable(daemon, 2)
        with daemon.connect() as conn:
            _reach_replicas(conn, nodes)
            before = _reads(primary)
            equal({conn.cmd("GET", "plain:1") for _ in range(50)}, {b"a"}, how)
            equal(_reads(primary), before, f"{how}: the primary was read")
            equal(conn.cmd("GET", "cached:1"), b"b", how)
            equal(_reads(primary), before + 1, f"{how}: L1 was filled by somebody else")
            primary.cmd("SET", "cached:1", "c")
            eventually(lambda: conn.cmd("GET", "cached:1") == b"c", "the invalidation arrives")


@case(timeout=60)
def what_was_written_is_read_from_the_primary_until_the_replica_has_it(env):
    nodes = ReplicaSet(env, replicas=1)
    primary, replica = nodes.nodes
    primary.cmd("MSET", "plain:1", "old", "plain:2", "other")
    daemon = env.daemon(nodes, _config("replica", replica_lag_max="60s"), fills=False)
    _readable(daemon, 1)
    with daemon.connect() as writer, daemon.connect() as reader, replica.connect() as direct:
        _reach_replicas(reader, nodes)
        direct.cmd("CLIENT", "PAUSE", "2500", "WRITE")  # holds back what its primary sends as well
        equal(writer.cmd("SET", "plain:1", "new"), b"OK", "the write")
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            equal(reader.cmd("GET", "plain:1"), b"new", "another client does not see the write")
            equal(direct.cmd("GET", "plain:1"), b"old", "the replica has it already, which shows nothing")
            equal(reader.cmd("GET", "plain:2"), b"other", "a key that was not written")
            time.sleep(0.02)
        before = _reads(replica)
        equal(reader.cmd("GET", "plain:2"), b"other", "a key that was not written")
        equal(_reads(replica), before + 1, "a key that was not written is not read from the replica")
        eventually(lambda: direct.cmd("GET", "plain:1") == b"new", "the replica catches up")

        def from_replica():
            count = _reads(replica)
            equal(reader.cmd("GET", "plain:1"), b"new", "the write is undone")
            return _reads(replica) == count + 1
        eventually(from_replica, "it is read from the replica again")


@case(timeout=60)
def a_replica_that_dies_is_left_without_an_error(env):
    nodes = ReplicaSet(env, replicas=2)
    nodes.nodes[0].cmd("SET", "plain:1", "a")
    daemon = env.daemon(nodes, _config("prefer_replica"), fills=False)
    _readable(daemon, 2)
    stop = threading.Event()
    wrong = []
    done = []

    def read():
        with daemon.connect() as conn:
            while not stop.is_set():
                reply = conn.cmd("GET", "plain:1")
                done.append(1)
                if reply != b"a":
                    wrong.append(reply)
    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    with daemon.connect() as conn:
        _reach_replicas(conn, nodes)
    nodes.nodes[1].kill()
    eventually(lambda: daemon.metrics().total("nearcached_replicas_readable") == 1, "one is left")
    nodes.nodes[2].kill()
    eventually(lambda: daemon.metrics().total("nearcached_replica_missing") == 1, "none is left")
    served = len(done)
    eventually(lambda: len(done) > served + 100, "the primary serves")
    stop.set()
    for reader in readers:
        reader.join()
    equal(wrong, [], "errors of clients")
    true(daemon.metrics().total("nearcached_replica_left_total") >= 2, "leaving is counted")


@case(timeout=60)
def with_replica_no_replica_is_an_error_that_names_the_setting(env):
    nodes = ReplicaSet(env, replicas=1)
    daemon = env.daemon(nodes, _config("replica"), fills=False)
    _readable(daemon, 1)
    with daemon.connect() as conn:
        equal(conn.cmd("SET", "cached:1", "x"), b"OK", "a write")
        # It loses its primary, and says so; it would still answer, from data that gets old.
        nodes.nodes[1].cmd("REPLICAOF", "127.0.0.1", "1")
        eventually(lambda: isinstance(conn.cmd("GET", "plain:1"), RespError), "the replica is left")
        text = str(conn.cmd("GET", "plain:1"))
        true("upstream.read_from" in text and f":{nodes.nodes[1].port}" in text, text)
        equal(conn.cmd("GET", "cached:1"), b"x", "what L1 keeps is read from the primary")
        rows = str(conn.cmd("NEARCACHE", "UPSTREAMS"))
        true("its link to its primary is down" in rows, rows)
        nodes.nodes[1].cmd("REPLICAOF", "127.0.0.1", nodes.nodes[0].port)
        eventually(lambda: conn.cmd("GET", "plain:1") is None, "the replica is back", timeout=20)


@case(timeout=60)
def a_replica_of_something_else_is_not_read(env):
    nodes = ReplicaSet(env, replicas=1)
    other = ReplicaSet(env, replicas=1)
    other.nodes[0].cmd("SET", "plain:1", "of somebody else")
    nodes.nodes[0].cmd("SET", "plain:1", "ours")
    listed = [nodes.nodes[0], nodes.nodes[1], other.nodes[1]]
    listed = SimpleNamespace(url="redis://" + ",".join(f"127.0.0.1:{node.port}" for node in listed))
    daemon = env.daemon(listed, _config("prefer_replica"), fills=False)
    _readable(daemon, 1)
    connections = [daemon.connect() for _ in range(8)]
    for _ in range(50):
        for conn in connections:
            equal(conn.cmd("GET", "plain:1"), b"ours", "a stranger's data")
    for conn in connections:
        conn.close()
    with daemon.connect() as conn:
        true("not known to be a copy" in str(conn.cmd("NEARCACHE", "UPSTREAMS")), "the row says why")


@case(timeout=60)
def nearest_leaves_a_slow_node(env):
    nodes = ReplicaSet(env, replicas=1)
    nodes.nodes[0].cmd("SET", "plain:1", "a")
    daemon = env.daemon(nodes, _config("nearest", replica_lag_max="30s"), fills=False)
    _readable(daemon, 1)
    # The primary becomes slow: every answer of its waits behind a sleep. (The replica's do not.)
    stop = threading.Event()

    def slow():
        with nodes.nodes[0].connect() as conn:
            while not stop.is_set():
                conn.cmd("DEBUG", "SLEEP", "0.03")
    thread = threading.Thread(target=slow)
    thread.start()
    try:
        with daemon.connect() as conn:
            eventually(lambda: b"yes" in str(conn.cmd("NEARCACHE", "UPSTREAMS")).encode(), "the replica is nearer",
                       timeout=30)
            _reach_replicas(conn, nodes)
    finally:
        stop.set()
        thread.join()


@case(timeout=60)
def reconnect_renews_the_links_to_replicas_without_an_error(env):
    nodes = ReplicaSet(env)
    nodes.nodes[0].cmd("SET", "plain:1", "a")
    daemon = env.daemon(nodes.nodes[0], _config("prefer_replica"), fills=False)
    _readable(daemon, 2)

    def connections():
        """Ids of the sidecar's connections that read, at the replicas."""
        return {(node.port, line.split()[0]) for node in nodes.nodes[1:]
                for line in node.cmd("CLIENT", "LIST", "TYPE", "normal").decode().splitlines() if " cmd=get " in line}

    with daemon.connect() as conn, daemon.connect() as admin:
        _reach_replicas(conn, nodes)
        before = connections()
        true(before, "no connection to a replica was found")
        equal(admin.cmd("NEARCACHE", "RECONNECT"), b"OK")

        def renewed():
            equal(conn.cmd("GET", "plain:1"), b"a")
            now = connections()
            return now and not now & before
        eventually(renewed, "every connection to a replica is a new one", timeout=20)
