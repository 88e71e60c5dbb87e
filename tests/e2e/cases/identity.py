"""Clients that log in to the upstream themselves are there what they would be on a direct connection."""

import threading
import time

import redis as redis_py

from harness.cluster import slot_of
from harness.registry import case
from harness.resp import Closed, RespError, encode
from harness.wait import equal, eventually, true

_CLIENT = {"upstream": {"identity": "client", "health_interval": "250ms"}}


def _stack(env, **more):
    redis = env.redis()
    redis.cmd("ACL", "SETUSER", "alice", "on", ">a-secret", "~a:*", "&*", "+@all", "-@dangerous")
    redis.cmd("ACL", "SETUSER", "bob", "on", ">b-secret", "~b:*", "&*", "+get", "+set", "+ping")
    redis.cmd("MSET", "a:1", "of alice", "b:1", "of bob")
    config = {"upstream": dict(_CLIENT["upstream"], **more)}
    return redis, env.daemon(redis, config, fills=False)


def _error(reply, beginning):
    true(isinstance(reply, RespError) and str(reply.text).startswith(beginning), f"expected {beginning}, got {reply!r}")


@case
def each_user_may_do_what_the_upstream_lets_it_do_and_nothing_else(env):
    redis, daemon = _stack(env)
    with daemon.connect() as alice, daemon.connect() as bob, daemon.connect() as nobody:
        equal(alice.cmd("AUTH", "alice", "a-secret"), b"OK")
        equal(bob.cmd("AUTH", "bob", "b-secret"), b"OK")
        for _ in range(3):  # were anything remembered, the second would show it
            equal(nobody.cmd("GET", "a:1"), b"of alice")
            equal(alice.cmd("GET", "a:1"), b"of alice")
            _error(bob.cmd("GET", "a:1"), "NOPERM")
            equal(bob.cmd("GET", "b:1"), b"of bob")
            _error(alice.cmd("GET", "b:1"), "NOPERM")
            _error(alice.cmd("MGET", "a:1", "b:1"), "NOPERM")
        _error(bob.cmd("DEL", "b:1"), "NOPERM")
        equal(alice.cmd("ACL", "WHOAMI"), b"alice")
        equal(nobody.cmd("ACL", "WHOAMI"), b"default")
        lines = nobody.cmd("CLIENT", "LIST").decode().splitlines()
        equal(sorted(word for line in lines for word in line.split() if word.startswith("user=")),
              ["user=alice", "user=bob", "user=default"])
        equal(alice.cmd("SET", "a:1", "new"), b"OK")
        equal(nobody.cmd("GET", "a:1"), b"new", "a write of one is not seen by another")
        equal(daemon.metrics().total("nearcached_identities"), 2)


@case
def what_is_taken_from_a_user_is_gone_with_the_next_command(env):
    redis, daemon = _stack(env)
    with daemon.connect() as alice:
        alice.cmd("AUTH", "alice", "a-secret")
        equal([alice.cmd("GET", "a:1") for _ in range(3)], [b"of alice"] * 3)
        redis.cmd("ACL", "SETUSER", "alice", "resetkeys", "~none:*")
        _error(alice.cmd("GET", "a:1"), "NOPERM")
        redis.cmd("ACL", "SETUSER", "alice", "~a:*")
        equal(alice.cmd("GET", "a:1"), b"of alice")


@case
def a_wrong_login_in_a_pipeline_changes_nothing_but_its_own_reply(env):
    redis, daemon = _stack(env)
    commands = [["PING"], ["AUTH", "alice", "wrong"], ["SET", "n:1", "x"], ["GET", "n:1"], ["AUTH", "alice", "a-secret"],
                ["GET", "b:1"], ["GET", "a:1"], ["AUTH", "wrong"], ["ACL", "WHOAMI"], ["HELLO", "3", "AUTH", "bob", "no"],
                ["AUTH", "nobody", "x", "y"], ["AUTH"], ["AUTH", "bob", "b-secret"], ["GET", "b:1"], ["GET", "a:1"],
                ["RESET"], ["GET", "a:1"], ["ACL", "WHOAMI"]]
    with redis.connect() as direct, daemon.connect() as through:
        answers = []
        for conn in (direct, through):
            conn.send(b"".join(encode(*command) for command in commands))
            answers.append([conn.read_raw() for _ in commands])
    equal(answers[1], answers[0], "the daemon's replies differ from the server's")


@case
def hello_with_auth_logs_in_over_both_protocols_and_keeps_the_name(env):
    redis, daemon = _stack(env)
    for version in (2, 3):
        with daemon.connect() as conn:
            conn.cmd("HELLO", version, "AUTH", "alice", "a-secret", "SETNAME", "app")
            equal(conn.cmd("CLIENT", "GETNAME"), b"app")
            equal(conn.cmd("ACL", "WHOAMI"), b"alice")
            equal(conn.pipeline(["MULTI"], ["SET", "a:2", version], ["GET", "a:2"], ["EXEC"])[-1],
                  [b"OK", str(version).encode()])
            equal(conn.pipeline(["MULTI"], ["GET", "b:1"], ["EXEC"])[1:],
                  [RespError("NOPERM this user has no permissions to access one of the keys used as arguments"),
                   RespError("EXECABORT Transaction discarded because of previous errors.")])
    client = redis_py.Redis(host="127.0.0.1", port=daemon.port, username="alice", password="a-secret")
    equal(client.get("a:1"), b"of alice")
    sub = client.pubsub()
    sub.subscribe("news")
    eventually(lambda: (m := sub.get_message(timeout=0.1)) and m["type"] == "subscribe", "it is subscribed")
    client.publish("news", "x")
    eventually(lambda: (m := sub.get_message(timeout=0.1)) and m["data"] == b"x", "the message comes")


@case
def a_server_that_asks_everybody_for_a_login_gets_it_from_the_clients(env):
    redis, daemon = _stack(env)
    redis.cmd("ACL", "SETUSER", "default", "off", "nopass")
    with redis.connect() as conn:
        direct = [conn.raw("GET", "a:1"), conn.raw("HELLO", "3"), conn.raw("AUTH", "x")]
    for process in (daemon, env.daemon(redis, _CLIENT, fills=False)):
        with process.connect() as conn:
            if process is not daemon:  # the first one's links are as old as the permission
                equal([conn.raw("GET", "a:1"), conn.raw("HELLO", "3"), conn.raw("AUTH", "x")], direct)
            conn.cmd("HELLO", 3, "AUTH", "alice", "a-secret")
            equal(conn.cmd("GET", "a:1"), b"of alice")
            conn.cmd("RESET")


@case
def a_user_stays_in_the_database_that_was_selected_before_it_logged_in(env):
    redis, daemon = _stack(env)
    redis.cmd("ACL", "SETUSER", "carol", "on", ">c-secret", "~*", "+get", "+set", "+auth", "+echo")
    commands = [["SELECT", "9"], ["SET", "k", "nine"], ["AUTH", "carol", "c-secret"], ["GET", "k"], ["SELECT", "8"],
                ["GET", "k"], ["SELECT", "9"], ["SET", "k", "of carol"], ["AUTH", "alice", "a-secret"], ["SELECT", "7"],
                ["GET", "a:1"], ["AUTH", "carol", "c-secret"], ["GET", "k"], ["SET", "k", "seven"], ["RESET"], ["GET", "k"]]
    for version in (2, 3):
        answers = []
        for server in (redis, daemon):
            with server.connect() as conn:
                if version == 3:
                    conn.cmd("HELLO", "3")
                redis.cmd("FLUSHALL")
                conn.send(b"".join(encode(*command) for command in commands))
                answers.append([conn.read_raw() for _ in commands])
        equal(answers[1], answers[0], "the daemon's replies differ from the server's")


@case
def clients_of_a_user_that_is_deleted_are_closed_and_others_are_not(env):
    redis, daemon = _stack(env)
    with daemon.connect() as alice, daemon.connect() as subscriber, daemon.connect() as bob:
        alice.cmd("AUTH", "alice", "a-secret")
        equal(alice.cmd("GET", "a:1"), b"of alice")
        subscriber.cmd("AUTH", "alice", "a-secret")
        subscriber.cmd("SUBSCRIBE", "news")
        bob.cmd("AUTH", "bob", "b-secret")
        equal(bob.cmd("GET", "b:1"), b"of bob")
        redis.cmd("ACL", "DELUSER", "alice")
        for conn in (alice, subscriber):
            true(conn.read_to_end() is not None, "it was not closed")
        equal(bob.cmd("GET", "b:1"), b"of bob")
    with daemon.connect() as conn:
        _error(conn.cmd("AUTH", "alice", "a-secret"), "WRONGPASS")
        equal(conn.cmd("GET", "a:1"), b"of alice")
    eventually(lambda: daemon.metrics().total("nearcached_identities") == 1, "the identity is gone")
    equal(daemon.metrics().total("nearcached_identities_revoked_total"), 1)
    true("a-secret" not in daemon.log(), "a password is in the log")


@case
def users_beyond_the_bound_are_told_so_and_room_is_made_for_them(env):
    redis, daemon = _stack(env, identities_max=1)
    with daemon.connect() as first:
        equal(first.cmd("AUTH", "alice", "a-secret"), b"OK")
        with daemon.connect() as second:
            _error(second.cmd("AUTH", "bob", "b-secret"), "ERR nearcached: as many upstream users")
            equal(second.cmd("GET", "b:1"), b"of bob", "it is who it was")
            equal(second.cmd("AUTH", "alice", "a-secret"), b"OK")
            equal(second.cmd("ACL", "WHOAMI"), b"alice")
    with daemon.connect() as third:
        eventually(lambda: third.cmd("AUTH", "bob", "b-secret") == b"OK", "there is room")
        equal(third.cmd("GET", "b:1"), b"of bob")
        with redis.connect() as direct:
            direct.cmd("AUTH", "bob", "b-secret")
            equal(third.raw("SELECT", 3), direct.raw("SELECT", 3))
        equal(third.cmd("GET", "b:1"), b"of bob")


@case(timeout=90)
def users_come_and_go_under_load_and_nobody_sees_what_is_not_his(env):
    redis, daemon = _stack(env)
    wrong, done, ends = [], [], time.monotonic() + 4

    def client(user, password, own, other):
        count = 0
        while time.monotonic() < ends and not wrong:
            try:
                with daemon.connect() as conn:
                    if conn.cmd("AUTH", user, password) != b"OK":
                        wrong.append("AUTH")
                    for _ in range(20):
                        replies = conn.pipeline(["GET", own], ["GET", other], ["SET", own, "x" * 50], ["GET", own])
                        if isinstance(replies[0], RespError) or not isinstance(replies[1], RespError):
                            wrong.append(replies)
                        count += len(replies)
            except (OSError, Closed) as problem:
                wrong.append(problem)
        done.append(count)

    threads = [threading.Thread(target=client, args=args) for args in
               [("alice", "a-secret", "a:1", "b:1"), ("bob", "b-secret", "b:1", "a:1")] * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(wrong, [])
    env.note(f"{sum(done)} replies")


# ---- the same in front of a cluster -------------------------------------------------------------

def _cluster_stack(env):
    cluster = env.cluster(replicas=0)
    for node in cluster.nodes:
        node.cmd("ACL", "SETUSER", "alice", "on", ">a-secret", "~a:*", "&*", "+@all")
        node.cmd("ACL", "SETUSER", "bob", "on", ">b-secret", "~b:*", "&*", "+get", "+set", "+ping", "+cluster|slots")
    cluster.cmd("SET", "a:1", "of alice")
    cluster.cmd("SET", "b:1", "of bob")
    return cluster, env.daemon(cluster, _CLIENT, fills=False)


@case
def users_of_a_cluster_may_do_on_every_node_what_it_lets_them_do(env):
    cluster, daemon = _cluster_stack(env)
    keys = [f"a:{i}" for i in range(60)]
    with daemon.connect() as alice, daemon.connect() as bob, daemon.connect() as nobody:
        eventually(lambda: nobody.cmd("GET", "a:1") == b"of alice", "the daemon has the map")
        equal(alice.cmd("AUTH", "alice", "a-secret"), b"OK")
        equal(bob.cmd("AUTH", "bob", "b-secret"), b"OK")
        equal(set(alice.pipeline(*[("SET", key, key) for key in keys])), {b"OK"})
        equal(alice.cmd("MGET", *keys), [key.encode() for key in keys])
        for _ in range(3):
            equal([nobody.cmd("GET", key) for key in keys], [key.encode() for key in keys])
            _error(bob.cmd("GET", "a:1"), "NOPERM")
            _error(alice.cmd("GET", "b:1"), "NOPERM")
            equal(bob.cmd("GET", "b:1"), b"of bob")
        _error(alice.cmd("MGET", *keys, "b:1"), "NOPERM")
        equal(alice.pipeline(["MULTI"], ["SET", "a:{t}1", "1"], ["INCR", "a:{t}1"], ["EXEC"])[-1], [b"OK", 2])
        equal(alice.cmd("ACL", "WHOAMI"), b"alice")
        equal(nobody.cmd("ACL", "WHOAMI"), b"default")
        equal(alice.cmd("SET", "a:1", "new"), b"OK")
        equal(nobody.cmd("GET", "a:1"), b"new", "a write of one is not seen by another")
        # A slot moves: the user follows it, and what he may do there is judged there.
        slot = slot_of("a:1")
        source = cluster.owner(slot)
        target = next(node for node in cluster.nodes if node is not source)
        cluster.migrate(slot, source, target)
        equal(alice.cmd("GET", "a:1"), b"new")
        equal(nobody.cmd("GET", "a:1"), b"new")
        target.cmd("ACL", "SETUSER", "alice", "resetkeys", "~none:*")
        _error(alice.cmd("GET", "a:1"), "NOPERM")
        for node in cluster.nodes:
            node.cmd("ACL", "DELUSER", "alice")
        true(alice.read_to_end() is not None, "it was not closed")
        equal(bob.cmd("GET", "b:1"), b"of bob")


@case
def a_cluster_that_asks_everybody_for_a_login_gets_it_from_the_clients(env):
    cluster, _ = _cluster_stack(env)
    for node in cluster.nodes:
        node.cmd("ACL", "SETUSER", "default", "off", "nopass")
    daemon = env.daemon(cluster, _CLIENT, fills=False)
    with cluster.nodes[0].connect() as conn:
        direct = [conn.raw("GET", "a:1"), conn.raw("HELLO", "3"), conn.raw("AUTH", "x")]
    with daemon.connect() as conn:
        eventually(lambda: conn.raw("GET", "a:1") == direct[0], "nobody is told a map")
        equal([conn.raw("GET", "a:1"), conn.raw("HELLO", "3"), conn.raw("AUTH", "x")], direct)
        equal(daemon.probe("/readiness"), 200)
        _error(conn.cmd("AUTH", "alice", "wrong"), "WRONGPASS")
        conn.cmd("HELLO", 3, "AUTH", "alice", "a-secret")
        equal(conn.cmd("GET", "a:1"), b"of alice")
        equal(conn.cmd("SET", "a:2", "x"), b"OK")
        _error(conn.cmd("GET", "b:1"), "NOPERM")
