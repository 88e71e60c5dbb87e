"""Scripts that were loaded once stay known, whatever becomes of the server that knew them."""

import threading
import time

import redis as redis_py

from harness.registry import case
from harness.replication import ReplicaSet, Sentinels
from harness.resp import Closed, RespError
from harness.wait import equal, eventually, true

_INCR = "return redis.call('INCR',KEYS[1])"
_QUICK = {"upstream": {"health_interval": "250ms", "command_timeout": "2s"}}


def _up_again(daemon):
    def answers():
        reply = daemon.cmd("LLEN", "none")
        return reply == 0
    eventually(answers, "the upstream is back")


@case(direct=True)
def a_server_that_a_script_keeps_busy_says_so_to_select_in_its_own_words(env):
    redis, daemon = env.stack({}, "--busy-reply-threshold", "10")
    with daemon.connect() as runs, redis.connect() as direct, daemon.connect() as through:
        runs.send_cmd("EVAL", "while true do end", "0")
        eventually(lambda: isinstance(direct.cmd("PING"), RespError), "the server is busy")
        expected = direct.raw("SELECT", "5")
        true(expected.startswith(b"-BUSY "), expected)
        equal(through.raw("SELECT", "5"), expected)
        equal(through.cmd("SCRIPT", "KILL"), b"OK")
        true(isinstance(runs.read(), RespError), "the script was killed")
        equal(through.cmd("SELECT", "5"), b"OK")
        equal(through.cmd("SET", "k", "five"), b"OK")
        equal(direct.cmd("GET", "k"), None)
        equal(direct.cmd("SELECT", "5"), b"OK")
        equal(direct.cmd("GET", "k"), b"five")


@case
def a_script_survives_a_restart_of_the_server_outside_and_inside_multi(env):
    redis, daemon = env.stack(fills=False)
    with daemon.connect() as conn:
        sha = conn.cmd("SCRIPT", "LOAD", _INCR)
        equal(conn.cmd("EVALSHA", sha, 1, "n"), 1)
        equal(conn.cmd("MULTI"), b"OK")
        conn.cmd("EVALSHA", sha, 1, "n")
        equal(conn.cmd("EXEC"), [2])
    redis.kill()
    redis.start()
    equal(redis.cmd("SCRIPT", "EXISTS", sha), [0], "the server remembers scripts; then this shows nothing")
    _up_again(daemon)
    with daemon.connect() as conn:
        equal(conn.pipeline(["EVALSHA", sha.upper(), 1, "n"], ["INCR", "n"], ["EVALSHA", sha, 1, "n"]), [1, 2, 3])
    with daemon.connect(3) as conn:
        replies = conn.pipeline(["MULTI"], ["EVALSHA", sha, 1, "n"], ["EVALSHA", sha, 1, "n"], ["EXEC"])
        equal(replies, [b"OK", b"QUEUED", b"QUEUED", [4, 5]])
        conn.cmd("WATCH", "n")
        equal(conn.cmd("EVALSHA_RO", daemon.cmd("SCRIPT", "LOAD", "return 7"), 0), 7)
    equal(redis.cmd("GET", "n"), b"5")
    true(daemon.metrics().total("nearcached_upstream_script_loads_total") >= 2, "nothing was told ahead")


@case
def a_script_flushed_by_somebody_else_is_loaded_again_and_one_flushed_through_us_is_not(env):
    redis, daemon = env.stack(fills=False)
    with daemon.connect() as conn:
        sha = conn.cmd("SCRIPT", "LOAD", _INCR)
        equal(conn.cmd("EVALSHA", sha, 1, "n"), 1)
        redis.cmd("SCRIPT", "FLUSH")
        equal(conn.cmd("EVALSHA", sha, 1, "n"), 2)
        equal(daemon.metrics().total("nearcached_scripts_repaired_total"), 1)
        equal(conn.cmd("SCRIPT", "FLUSH"), b"OK")
        true("NOSCRIPT" in str(conn.cmd("EVALSHA", sha, 1, "n")), "the flush was not believed")
    equal(redis.cmd("GET", "n"), b"2")


@case
def a_script_that_makes_up_a_noscript_error_runs_once(env):
    redis, daemon = env.stack(fills=False)
    body = ("redis.call('INCR',KEYS[1]) "
            "return redis.error_reply('NOSCRIPT No matching script. Please use EVAL.')")
    with daemon.connect() as conn:
        sha = conn.cmd("SCRIPT", "LOAD", body)
        reply = conn.cmd("EVALSHA", sha, 1, "n")
        true(isinstance(reply, RespError) and "NOSCRIPT" in str(reply), f"it said {reply!r}")
    equal(redis.cmd("GET", "n"), b"1")


class _Caller(threading.Thread):
    """Calls a script by its SHA1 alone, over and over. Counts what it was told."""

    def __init__(self, daemon, sha, multi):
        super().__init__(daemon=True)
        self.daemon_process, self.sha, self.multi = daemon, sha, multi
        self.ends = False
        self.noscript, self.good, self.last_good, self.other = [], 0, 0.0, set()

    def call(self, conn):
        if not self.multi:
            return conn.cmd("EVALSHA", self.sha, 1, "n")
        replies = conn.pipeline(["MULTI"], ["EVALSHA", self.sha, 1, "n"], ["EXEC"])
        wrong = [r for r in replies if isinstance(r, RespError)]
        return wrong[0] if wrong else replies[-1][0]

    def run(self):
        while not self.ends:
            try:
                with self.daemon_process.connect() as conn:
                    while not self.ends:
                        self.note(self.call(conn))
            except (OSError, Closed):
                time.sleep(0.02)

    def note(self, reply):
        if not isinstance(reply, RespError):
            self.good, self.last_good = self.good + 1, time.monotonic()
        elif "NOSCRIPT" in str(reply):
            self.noscript.append(str(reply))
        else:
            self.other.add(str(reply)[:60])
            time.sleep(0.02)


@case(timeout=90)
def no_client_sees_noscript_when_sentinels_put_another_node_in_charge(env):
    nodes = ReplicaSet(env)
    sentinels = Sentinels(env, nodes)
    daemon = env.daemon(sentinels, _QUICK, fills=False)
    eventually(lambda: daemon.metrics().total("nearcached_topology_primary_known") == 1, "a primary is found")
    client = redis_py.Redis(host="127.0.0.1", port=daemon.port)
    script = client.register_script(_INCR)
    eventually(lambda: script(keys=["n"]), "the script runs")
    before = nodes.primary()
    # Since Redis 7 a replica is not told of EVAL; only what a script does reaches it.
    for node in nodes.nodes:
        if node is not before:
            equal(node.cmd("SCRIPT", "EXISTS", script.sha), [0], "replicas know it; then this shows nothing")
    callers = [_Caller(daemon, script.sha, multi) for multi in (False, False, True)]
    for caller in callers:
        caller.start()
    eventually(lambda: all(c.good > 20 for c in callers), "calls are answered")
    before.kill()
    eventually(lambda: (p := nodes.primary()) is not before and p, "another primary", timeout=40)
    switched = time.monotonic()
    eventually(lambda: all(c.last_good > switched + 1 for c in callers), "calls are answered again", timeout=40)
    for caller in callers:
        caller.ends = True
    for caller in callers:
        caller.join()
    equal([c.noscript for c in callers], [[], [], []])
    true(script(keys=["n"]) > 0, "redis-py's own script object goes on")
    env.note(f"{sum(c.good for c in callers)} calls, other errors meanwhile: "
             f"{sorted(set().union(*(c.other for c in callers)))}")


@case(timeout=90)
def each_node_of_a_cluster_is_told_the_script_when_it_needs_it(env):
    cluster = env.cluster()
    daemon = env.daemon(cluster, fills=False)
    keys = ["a", "b", "c", "d", "e", "f", "g", "h"]
    with daemon.connect() as conn:
        sha = eventually(lambda: (r := conn.cmd("SCRIPT", "LOAD", _INCR)) and not isinstance(r, RespError) and r,
                         "the cluster is known")
        for node in cluster.nodes:
            node.cmd("SCRIPT", "FLUSH")
        equal([conn.cmd("EVALSHA", sha, 1, key) for key in keys], [1] * len(keys))
        for node in cluster.nodes:
            node.cmd("SCRIPT", "FLUSH")
        for key in keys:
            conn.cmd("MULTI")
            conn.cmd("EVALSHA", sha, 1, key)
            reply = conn.cmd("EXEC")
            if reply != [2]:  # nobody can know of a flush elsewhere inside MULTI; the call told us
                true("NOSCRIPT" in str(reply), f"EXEC said {reply!r}")
                equal(conn.cmd("EVALSHA", sha, 1, key), 2)
