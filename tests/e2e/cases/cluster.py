"""A Redis Cluster behind clients that know nothing of clusters."""

import subprocess
import time

from harness.certificates import Certificates
from harness.cluster import slot_of
from harness.registry import case
from harness.resp import RespError
from harness.wait import equal, eventually, true


def _stack(env, config=None, **options):
    cluster = env.cluster(**options)
    daemon = env.daemon(cluster, config)
    with daemon.connect() as conn:
        eventually(lambda: conn.cmd("SET", "e2e:ready", "1") == b"OK", "the daemon forwards")
        conn.cmd("DEL", "e2e:ready")
    eventually(lambda: _armed(cluster, daemon), "every node's keys are cached", timeout=20)
    return cluster, daemon


def _armed(cluster, daemon):
    keys = ["arm:0", "arm:1", "arm:2", "arm:3", "arm:4", "arm:5"]
    with daemon.connect() as conn:
        for key in keys:
            conn.cmd("SET", key, "1")
            conn.cmd("GET", key)
        before = cluster.calls("get")
        for key in keys:
            conn.cmd("GET", key)
        return cluster.calls("get") == before


@case
def one_client_sees_one_redis_whatever_the_slots_are(env):
    cluster, daemon = _stack(env, replicas=0)
    keys = [f"key:{i}" for i in range(300)]
    with daemon.connect() as conn:
        equal(set(conn.pipeline(*[("SET", key, f"v:{key}") for key in keys])), {b"OK"})
        equal(conn.pipeline(*[("GET", key) for key in keys]), [f"v:{k}".encode() for k in keys])
        equal(conn.cmd("MGET", *keys[:50], "missing"),
              [f"v:{k}".encode() for k in keys[:50]] + [None])
        equal(conn.cmd("MSET", *[w for k in keys[:60] for w in (k, f"w:{k}")]), b"OK")
        equal(conn.cmd("MGET", *keys[:60]), [f"w:{k}".encode() for k in keys[:60]])
        equal(conn.cmd("EXISTS", *keys, "missing"), 300)
        equal(conn.cmd("TOUCH", *keys[:10]), 10)
        equal(conn.cmd("DBSIZE"), sum(n.cmd("DBSIZE") for n in cluster.nodes))
        equal(sorted(conn.cmd("KEYS", "key:*")), sorted(k.encode() for k in keys))
        true(conn.cmd("RANDOMKEY") is not None, "RANDOMKEY found nothing")
        equal(conn.cmd("DEL", *keys[:100]), 100)
        equal(conn.cmd("UNLINK", *keys[100:150], *keys[:5]), 50)
        equal(conn.cmd("FLUSHALL"), b"OK")
        equal(conn.cmd("DBSIZE"), 0)
        equal([n.cmd("DBSIZE") for n in cluster.nodes], [0, 0, 0])


@case
def a_cluster_over_tls_is_like_any_other(env):
    certificates = Certificates(env.folder)
    certificates.make("server")
    cluster, daemon = _stack(env, {"upstream": {"tls": {"ca_file": certificates.path("ca")}}},
                             replicas=0, certificates=certificates)
    keys = [f"key:{i}" for i in range(60)]
    with daemon.connect() as conn:
        equal(set(conn.pipeline(*[("SET", key, key) for key in keys])), {b"OK"})
        equal(conn.cmd("MGET", *keys), [key.encode() for key in keys])
        source = cluster.owner("key:1")
        target = next(node for node in cluster.nodes if node is not source)
        cluster.migrate(slot_of("key:1"), source, target)
        # A redirection names a port for TLS. (For a moment the nodes may name each other.)
        eventually(lambda: conn.cmd("SET", "key:1", "moved") == b"OK", "it is redirected")
        equal(conn.cmd("GET", "key:1"), b"moved")
        equal(target.cmd("GET", "key:1"), b"moved")
    for node in cluster.nodes:
        lists = node.cmd("CLIENT", "LIST").decode().splitlines()
        ours = [line for line in lists if " name=nearcached " in line]
        true(ours and all(f" laddr=127.0.0.1:{node.tls_port} " in line for line in ours),
             f"every link of ours is on the port for TLS: {ours}")


@case
def scan_visits_every_node(env):
    _, daemon = _stack(env, replicas=0)
    with daemon.connect() as conn:
        conn.cmd("FLUSHALL")
        keys = {f"scan:{i}".encode() for i in range(500)}
        conn.pipeline(*[("SET", key, "1") for key in keys])
        cursor, seen, rounds = b"0", set(), 0
        while True:
            cursor, some = conn.cmd("SCAN", cursor, "COUNT", 50, "MATCH", "scan:*")
            seen.update(some)
            rounds += 1
            if cursor == b"0":
                break
        equal(seen, keys)
        true(rounds >= 3, "three nodes need three calls at least")
        error = conn.cmd("SCAN", "12345", "COUNT", 50)
        true(isinstance(error, RespError) and "start again" in error.text,
             f"a cursor from nowhere: {error}")
        true(isinstance(conn.cmd("SCAN", "x"), RespError), "a cursor that is no number")


@case
def what_a_cluster_cannot_do_is_refused_with_its_own_words(env):
    _, daemon = _stack(env, replicas=0)
    with daemon.connect() as conn:
        for command in [("MSETNX", "a", "1", "b", "2"), ("RENAME", "a", "b"),
                        ("SINTER", "a", "b"), ("EVAL", "return 1", 2, "a", "b")]:
            error = conn.cmd(*command)
            true(isinstance(error, RespError) and error.text.startswith("CROSSSLOT"),
                 f"{command}: {error}")
        equal(conn.cmd("MSETNX", "{a}1", "1", "{a}2", "2"), 1)
        error = conn.cmd("SELECT", "1")
        true(isinstance(error, RespError) and "not allowed in cluster mode" in error.text,
             f"SELECT 1: {error}")
        equal(conn.cmd("SELECT", "0"), b"OK")
        error = conn.cmd("CLUSTER", "SLOTS")
        equal(error.text, "ERR This instance has cluster support disabled")
        error = conn.cmd("ACL", "SETUSER", "x")
        true(isinstance(error, RespError) and "each node" in error.text, f"ACL SETUSER: {error}")


@case
def cluster_commands_are_passed_on_where_that_is_asked_for(env):
    _, daemon = _stack(env, {"upstream": {"cluster_commands": True}}, replicas=0)
    with daemon.connect() as conn:
        equal(conn.cmd("CLUSTER", "KEYSLOT", "foo"), 12182)
        equal(len(conn.cmd("CLUSTER", "SLOTS")), 3)


@case
def transactions_go_to_the_node_of_their_keys(env):
    cluster, daemon = _stack(env, replicas=0)
    keys = [f"txn:{i}" for i in range(12)]
    true(len({cluster.owner(k).port for k in keys}) == 3, "the keys are on all nodes")
    with daemon.connect() as conn:
        for key in keys:
            equal(conn.cmd("MULTI"), b"OK")
            equal(conn.cmd("SET", key, "1"), b"QUEUED")
            equal(conn.cmd("INCR", key), b"QUEUED")
            equal(conn.cmd("EXEC"), [b"OK", 2])
            equal(conn.cmd("GET", key), b"2")
            equal(conn.pipeline(("WATCH", key), ("MULTI",), ("INCR", key), ("EXEC",)),
                  [b"OK", b"OK", b"QUEUED", [3]])
        equal(conn.pipeline(("MULTI",), ("EXEC",)), [b"OK", []])
        equal(conn.pipeline(("MULTI",), ("PING",), ("DISCARD",)), [b"OK", b"QUEUED", b"OK"])
        # Keys of two nodes cannot be one transaction, and nothing of it is done.
        one = next(k for k in keys if cluster.owner(k) is cluster.nodes[0])
        two = next(k for k in keys if cluster.owner(k) is cluster.nodes[1])
        replies = conn.pipeline(("MULTI",), ("SET", one, "x"), ("SET", two, "x"), ("EXEC",))
        equal(replies[:2], [b"OK", b"QUEUED"])
        true(replies[2].text.startswith("CROSSSLOT"), f"{replies[2]}")
        true(replies[3].text.startswith("EXECABORT"), f"{replies[3]}")
        equal(conn.cmd("MGET", one, two), [b"3", b"3"])
        # A watched key that changes aborts.
        equal(conn.cmd("WATCH", one), b"OK")
        cluster.cmd("SET", one, "other")
        equal(conn.pipeline(("MULTI",), ("SET", one, "mine"), ("EXEC",)),
              [b"OK", b"QUEUED", None])
        equal(conn.cmd("GET", one), b"other")


@case
def scripts_blocking_commands_and_messages(env):
    cluster, daemon = _stack(env, replicas=0)
    with daemon.connect() as conn, daemon.connect() as other:
        for i in range(6):
            equal(conn.cmd("EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", 1, f"s:{i}", i),
                  b"OK")
            equal(conn.cmd("GET", f"s:{i}"), str(i).encode())
        sha = conn.cmd("SCRIPT", "LOAD", "return KEYS[1]")
        equal(conn.cmd("SCRIPT", "EXISTS", sha), [1])
        for i in range(6):
            equal(conn.cmd("EVALSHA", sha, 1, f"s:{i}"), f"s:{i}".encode())
        for i in range(6):
            conn.send_cmd("BLPOP", f"q:{i}", 20)
            time.sleep(0.05)
            equal(other.cmd("RPUSH", f"q:{i}", "x"), 1)
            equal(conn.read(), [f"q:{i}".encode(), b"x"])
        conn.send_cmd("SUBSCRIBE", "news")
        equal(conn.read(), [b"subscribe", b"news", 1])
        other.cmd("PUBLISH", "news", "hello")
        equal(conn.read(), [b"message", b"news", b"hello"])
    with daemon.connect() as conn, daemon.connect() as other:
        for channel in ("sharded:1", "sharded:2", "sharded:3"):
            conn.send_cmd("SSUBSCRIBE", channel)
            equal(conn.read(), [b"ssubscribe", channel.encode(), 1])
            equal(other.cmd("SPUBLISH", channel, "hi"), 1)
            equal(conn.read(), [b"smessage", channel.encode(), b"hi"])
            conn.send_cmd("SUNSUBSCRIBE", channel)
            equal(conn.read(), [b"sunsubscribe", channel.encode(), 0])


@case
def other_peoples_writes_are_seen_on_every_node(env):
    cluster, daemon = _stack(env, replicas=0)
    keys = [f"ext:{i}" for i in range(30)]
    with daemon.connect() as conn:
        for key in keys:
            cluster.cmd("SET", key, "old")
        equal(set(conn.pipeline(*[("GET", key) for key in keys])), {b"old"})
        before = cluster.calls("get")
        equal(set(conn.pipeline(*[("GET", key) for key in keys])), {b"old"})
        equal(cluster.calls("get"), before)
        for key in keys:
            cluster.cmd("SET", key, "new")
        eventually(lambda: set(conn.pipeline(*[("GET", k) for k in keys])) == {b"new"},
                   "pushes come from every node")


@case
def redis_cli_and_python_without_cluster_mode(env):
    _, daemon = _stack(env, replicas=0)
    for i in range(5):
        out = subprocess.run(["redis-cli", "-p", str(daemon.port), "SET", f"cli:{i}", str(i)],
                             capture_output=True, text=True, check=True).stdout
        equal(out, "OK\n")
        out = subprocess.run(["redis-cli", "-p", str(daemon.port), "GET", f"cli:{i}"],
                             capture_output=True, text=True, check=True).stdout
        equal(out, f"{i}\n")
    import redis
    client = redis.Redis(port=daemon.port)
    with client.pipeline(transaction=False) as pipe:
        for i in range(100):
            pipe.set(f"py:{i}", i)
            pipe.get(f"py:{i}")
        equal(pipe.execute()[1::2], [str(i).encode() for i in range(100)])
    with client.pipeline(transaction=True) as pipe:
        pipe.set("{t}a", 1)
        pipe.incr("{t}a")
        equal(pipe.execute(), [True, 2])
    equal(len(list(client.scan_iter("py:*"))), 100)
    equal(client.mget([f"py:{i}" for i in range(100)]), [str(i).encode() for i in range(100)])
    client.close()
