"""A Redis Cluster that changes under load: slots that migrate, primaries that change or die.

Every case writes rising numbers and reads them back, through one sidecar and, as another
application would, directly. A reader that sees a number smaller than one already acknowledged to a
writer before the read began has been shown a stale value.
"""

import signal
import threading
import time

from cases.cluster import _stack
from harness.cluster import slot_of
from harness.registry import case
from harness.resp import RespError, encode
from harness.wait import SCALE, equal, eventually, true


class Load:
    """Writers and readers on `keys` through `daemon` until stopped. Counts what they see."""

    def __init__(self, daemon, keys, writers=2, readers=3, monotonic=True):
        """`monotonic`: nobody may see an older value after a newer one that no writer was told of yet."""
        self.keys = keys
        self.acked = {key: 0 for key in keys}  # the highest number a writer got OK for
        self.written = {key: 0 for key in keys}
        self.errors = []  # (time, text)
        self.stale = []
        self.reads = self.writes = 0
        self.last_good = time.monotonic()
        self.longest_gap = 0.0
        self._monotonic = monotonic
        self._daemon = daemon
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._write, args=(i, writers), daemon=True)
                         for i in range(writers)]
        self._threads += [threading.Thread(target=self._read, daemon=True) for _ in range(readers)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(30 * SCALE)
            true(not thread.is_alive(), "a client hangs")

    def _error(self, reply):
        with self._lock:
            self.errors.append((time.monotonic(), reply.text))
        time.sleep(0.01)

    def _good(self):
        with self._lock:
            now = time.monotonic()
            self.longest_gap = max(self.longest_gap, now - self.last_good)
            self.last_good = now

    def _write(self, number, writers):
        mine = self.keys[number::writers]  # one writer a key, so its numbers rise
        with self._daemon.connect() as conn:
            while not self._stop.is_set():
                for key in mine:
                    self.written[key] += 1
                    value = self.written[key]
                    reply = conn.cmd("SET", key, value)
                    if reply == b"OK":
                        self.acked[key] = value
                        self.writes += 1
                        self._good()
                        seen = conn.cmd("GET", key)
                        if isinstance(seen, RespError):
                            self._error(seen)
                        elif seen is None or int(seen) < value:
                            self.stale.append((key, value, seen))
                    else:
                        self._error(reply)

    def _read(self):
        with self._daemon.connect() as conn:
            seen = {}
            while not self._stop.is_set():
                for key in self.keys:
                    least = max(self.acked[key], seen.get(key, 0) if self._monotonic else 0)
                    value = conn.cmd("GET", key)
                    if isinstance(value, RespError):
                        self._error(value)
                        continue
                    self.reads += 1
                    if (0 if value is None else int(value)) < least:
                        self.stale.append((key, least, value))
                    else:
                        seen[key] = int(value or 0)
                least = [max(self.acked[key], seen.get(key, 0) if self._monotonic else 0) for key in self.keys[:8]]
                values = conn.cmd("MGET", *self.keys[:8])
                if isinstance(values, RespError):
                    self._error(values)
                    continue
                for key, floor, value in zip(self.keys, least, values):
                    if (0 if value is None else int(value)) < floor:
                        self.stale.append((key, floor, value))

    def summary(self):
        kinds = {}
        for _, text in self.errors:
            kinds[text[:60]] = kinds.get(text[:60], 0) + 1
        return (f"{self.writes} writes, {self.reads} reads, {len(self.errors)} errors {kinds}, "
                f"longest time without a write {self.longest_gap:.2f} s")


@case
def slots_migrate_under_load_without_a_stale_value_or_an_error(env):
    cluster, daemon = _stack(env, replicas=0)
    tags = ["a", "b", "c", "d", "e", "f"]
    keys = [f"{{{tag}}}:{i}" for tag in tags for i in range(8)]
    moved = 0
    with Load(daemon, keys) as load:
        time.sleep(0.3)
        for _ in range(3):
            for tag in tags:
                slot = slot_of(f"{{{tag}}}")
                source = cluster.owner(slot)
                target = cluster.nodes[(cluster.nodes.index(source) + 1) % 3]
                cluster.migrate(slot, source, target, keys_at_once=2, pause=0.02)
                moved += 1
        time.sleep(0.3)
    env.note(f"{moved} slots moved; " + load.summary())
    equal(load.stale, [])
    equal([text for _, text in load.errors], [])
    metrics = daemon.metrics()
    true(metrics.total("nearcached_cluster_redirects_total", kind="moved") > 0, "no MOVED was seen")
    true(metrics.total("nearcached_cluster_redirects_total", kind="ask") > 0, "no ASK was seen")
    for key in keys:
        equal(int(cluster.cmd("GET", key)), load.acked[key])


@case
def a_slot_that_moved_is_cached_again_from_its_new_node(env):
    cluster, daemon = _stack(env, replicas=0)
    with daemon.connect() as conn:
        conn.cmd("SET", "{m}k", "1")
        equal(conn.cmd("GET", "{m}k"), b"1")
        slot = slot_of("{m}k")
        source = cluster.owner(slot)
        target = next(n for n in cluster.nodes if n is not source)
        cluster.migrate(slot, source, target)
        equal(conn.cmd("GET", "{m}k"), b"1")

        def hit():
            conn.cmd("GET", "{m}k")
            before = cluster.calls("get")
            conn.cmd("GET", "{m}k")
            return cluster.calls("get") == before

        eventually(hit, "the key is a hit again")
        target.cmd("SET", "{m}k", "2")
        eventually(lambda: conn.cmd("GET", "{m}k") == b"2", "the new node's pushes arrive")


@case
def a_missing_key_that_appears_in_a_migrating_slot_is_seen_within_negative_ttl(env):
    cluster, daemon = _stack(env, {"l1": {"negative_ttl": "1s"}}, replicas=0)
    with daemon.connect() as conn:
        equal(conn.cmd("GET", "{n}k"), None)
        slot = slot_of("{n}k")
        source = cluster.owner(slot)
        target = next(n for n in cluster.nodes if n is not source)
        target.cmd("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.cmd("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
        with target.connect() as direct:
            equal(direct.cmd("ASKING"), b"OK")
            equal(direct.cmd("SET", "{n}k", "1"), b"OK")
        started = time.monotonic()
        eventually(lambda: conn.cmd("GET", "{n}k") == b"1", "the new key is seen")
        env.note(f"seen after {time.monotonic() - started:.2f} s")
        true(time.monotonic() - started < 1.0 + 1.0 * SCALE, "it took longer than negative_ttl")


@case
def a_manual_failover_goes_unnoticed_but_for_a_moment(env):
    cluster, daemon = _stack(env, replicas=1)
    keys = [f"fo:{i}" for i in range(48)]
    with Load(daemon, keys) as load:
        time.sleep(0.3)
        replica = cluster.nodes[3]
        equal(replica.cmd("CLUSTER", "FAILOVER"), b"OK")
        eventually(lambda: replica.role() == "master", "the replica has taken over", timeout=20)
        time.sleep(1.5)
    env.note(load.summary())
    equal(load.stale, [])
    for key in keys:
        value = int(cluster.cmd("GET", key))
        true(load.acked[key] <= value <= load.written[key],
             f"{key} is {value}, acknowledged {load.acked[key]}, written {load.written[key]}")


@case
def a_killed_primary_costs_its_slots_until_a_replica_is_promoted(env):
    cluster, daemon = _stack(env, {"upstream": {"command_timeout": "2s"}}, replicas=1)
    keys = [f"kill:{i}" for i in range(48)]
    dead = cluster.nodes[0]
    alive = [k for k in keys if cluster.owner(k) is not dead]
    true(0 < len(alive) < len(keys), "the keys are spread")
    with Load(daemon, keys) as load:
        time.sleep(0.5)
        dead.kill()
        killed = time.monotonic()
        eventually(lambda: cluster.nodes[3].role() == "master", "a replica is promoted",
                   timeout=30)
        promoted = time.monotonic()

        def served():
            with daemon.connect() as conn:
                return all(not isinstance(conn.cmd("GET", key), RespError) for key in keys)

        eventually(served, "every key is served again", timeout=30)
        back = time.monotonic()
        time.sleep(0.5)
    env.note(f"promoted after {promoted - killed:.2f} s, all keys served "
             f"{back - promoted:.2f} s after that; " + load.summary())
    true(back - promoted < 5 * SCALE, "the daemon was slow to follow")
    # What was acknowledged and not yet replicated dies with its primary; that is Redis's own bargain.
    of_the_living = [entry for entry in load.stale if entry[0] in alive]
    equal(of_the_living, [])
    after = [text for at, text in load.errors if at > back + 0.2]
    equal(after, [])


@case(timeout=90)
def with_max_hold_a_killed_primary_is_a_pause_for_what_had_not_left(env):
    """Clients that have nothing under way when the node dies see no error, and no key of others waits."""
    cluster, daemon = _stack(env, {"upstream": {"command_timeout": "2s", "max_hold": "30s"}}, replicas=1)
    keys = [f"kill:{i}" for i in range(48)]
    dead = cluster.nodes[0]
    of_dead = [k for k in keys if cluster.owner(k) is dead]
    of_others = [k for k in keys if k not in of_dead]
    # With a node missing, the others refuse everything unless they are told not to.
    for node in cluster.nodes:
        node.cmd("CONFIG", "SET", "cluster-require-full-coverage", "no")
    with daemon.connect() as conn, daemon.connect() as other:
        equal(set(conn.pipeline(*[("SET", key, "before") for key in keys])), {b"OK"})
        eventually(lambda: cluster.nodes[3].cmd("DBSIZE") == dead.cmd("DBSIZE"), "the replica has the keys")
        dead.kill()
        killed = time.monotonic()
        eventually(lambda: daemon.metrics().total("nearcached_upstream_closed_total") > 0, "the loss is noticed")
        conn.send(b"".join(encode("SET", key, f"{turn}") + encode("GET", key) for turn in range(3) for key in of_dead))
        for key in of_others:
            equal(other.cmd("SET", key, "during"), b"OK")
        during = time.monotonic() - killed
        true(cluster.nodes[3].role() != "master", "the replica was promoted before anybody could wait")
        for turn in range(3):
            for key in of_dead:
                equal(conn.read_frame()[0], b"OK", f"SET {key}")
                equal(conn.read_frame()[0], f"{turn}".encode(), f"GET {key}")
        back = time.monotonic() - killed
        equal(cluster.nodes[3].role(), "master")
        env.note(f"{6 * len(of_dead)} requests waited {back:.2f} s for the promotion, none failed; "
                 f"{len(of_others)} of the other nodes were done after {during:.2f} s")
        equal(daemon.metrics().total("nearcached_cluster_requests_held"), 0)


@case(timeout=90)
def with_max_hold_a_cluster_that_refuses_everything_for_a_while_is_a_pause(env):
    """As a cluster is by default (cluster-require-full-coverage): without one primary no node serves anything."""
    cluster, daemon = _stack(env, {"upstream": {"command_timeout": "2s", "max_hold": "30s"}}, replicas=1)
    keys = [f"down:{i}" for i in range(48)]
    dead = cluster.nodes[0]
    of_others = [key for key in keys if cluster.owner(key) is not dead]
    of_dead = [key for key in keys if key not in of_others]
    with daemon.connect() as conn, daemon.connect() as other, daemon.connect() as third:
        equal(set(conn.pipeline(*[("SET", key, "0") for key in keys])), {b"OK"})
        eventually(lambda: cluster.nodes[3].cmd("DBSIZE") == dead.cmd("DBSIZE"), "the replica has the keys")
        dead.kill()
        killed = time.monotonic()
        eventually(lambda: daemon.metrics().total("nearcached_upstream_closed_total") > 0, "the loss is noticed")
        third.send(encode("MULTI") + encode("INCR", of_dead[0]) + encode("GET", of_dead[0]) + encode("EXEC"))
        rounds, longest = 0, 0.0
        while cluster.nodes[3].role() != "master" or rounds < 20:
            rounds += 1
            started = time.monotonic()
            commands = [command for key in of_others for command in (("INCR", key), ("APPEND", key, ""), ("GET", key))]
            replies = conn.pipeline(*commands)
            longest = max(longest, time.monotonic() - started)
            equal(replies, [reply for _ in of_others for reply in (rounds, len(str(rounds)), b"%d" % rounds)])
            true(time.monotonic() - killed < 60, "nobody was promoted")
        equal(set(other.pipeline(*[("INCR", key) for key in of_dead[1:]])), {1})
        equal([third.read_frame()[0] for _ in range(4)], [b"OK", b"QUEUED", b"QUEUED", [1, b"1"]])
        refused = daemon.metrics().total("nearcached_cluster_redirects_total", kind="cluster_down")
        env.note(f"{rounds} pipelines of {3 * len(of_others)}: the longest took {longest:.2f} s, nothing failed; "
                 f"{refused:.0f} requests were refused with CLUSTERDOWN")
        true(refused > 0, "the cluster never was down")
        equal(daemon.metrics().total("nearcached_cluster_requests_held"), 0)


@case(timeout=90)
def with_max_hold_reads_that_a_dying_primary_had_are_answered_by_its_successor(env):
    """GETs, which L1 keeps, and STRLENs, which it does not: sent, and unanswered when the node dies."""
    hold = 60
    cluster, daemon = _stack(env, {"upstream": {"command_timeout": "40s", "max_hold": f"{hold}s",
                                                "health_interval": "20s"}}, replicas=1)
    keys = [f"had:{i}" for i in range(48)]
    dying = cluster.nodes[0]
    of_dying = [key for key in keys if cluster.owner(key) is dying]
    with daemon.connect() as conn, daemon.connect() as other:
        equal(set(conn.pipeline(*[("SET", key, key) for key in keys])), {b"OK"})
        eventually(lambda: cluster.nodes[3].cmd("DBSIZE") == dying.cmd("DBSIZE"), "the replica has the keys")
        dying.signal(signal.SIGSTOP)
        conn.send(b"".join(encode("GET", key) for key in of_dying))
        other.send(b"".join(encode("STRLEN", key) for key in of_dying))
        eventually(lambda: daemon.metrics().total("nearcached_upstream_inflight") >= 2 * len(of_dying), "they are sent")
        dying.kill()
        killed = time.monotonic()
        equal([conn.read_frame()[0] for _ in of_dying], [key.encode() for key in of_dying])
        equal([other.read_frame()[0] for _ in of_dying], [len(key) for key in of_dying])
        back = time.monotonic() - killed
        equal(cluster.nodes[3].role(), "master")
        true(back < hold / 2, f"they waited {back:.1f} s, for their old node")
        equal(set(conn.pipeline(*[("SET", key, "after") for key in of_dying])), {b"OK"})  # their slots are open
        env.note(f"{2 * len(of_dying)} reads were answered {back:.2f} s after their node was killed")


@case(timeout=90)
def what_was_in_memory_of_a_dead_primary_is_served_until_its_successor_has_its_slots(env):
    cluster, daemon = _stack(env, {"l1": {"ttl": "120s", "stale_if_error": "60s"}}, replicas=1)
    keys = [f"stale:{i}" for i in range(48)]
    dead, successor = cluster.nodes[0], cluster.nodes[3]
    of_dead = [key for key in keys if cluster.owner(key) is dead]
    tried = of_dead.pop()
    for node in cluster.nodes:
        node.cmd("CONFIG", "SET", "cluster-require-full-coverage", "no")
    with daemon.connect() as conn, daemon.connect() as other:
        equal(set(conn.pipeline(*[("SET", key, "before") for key in keys])), {b"OK"})
        conn.pipeline(*[("GET", key) for key in keys])
        eventually(lambda: successor.cmd("DBSIZE") == dead.cmd("DBSIZE"), "the replica has the keys")
        dead.kill()
        killed = time.monotonic()
        eventually(lambda: isinstance(other.cmd("SET", tried, "x"), RespError), "the loss is noticed")
        true(isinstance(other.cmd("GET", tried), RespError), "a key that somebody tried to write")
        rounds = 0
        while successor.role() != "master":
            equal(set(conn.pipeline(*[("GET", key) for key in keys if key != tried])), {b"before"})
            rounds += 1
            true(time.monotonic() - killed < 60, "nobody was promoted")
        served = daemon.metrics().total("nearcached_stale_served_total")
        true(rounds > 0 and served >= rounds, "nothing was served from the shelf")
        for key in of_dead:
            equal(successor.cmd("SET", key, "after"), b"OK")
        # What is written elsewhere may be seen late, but then for good.
        eventually(lambda: set(conn.pipeline(*[("GET", key) for key in of_dead])) == {b"after"}, "it is asked")
        back = time.monotonic() - killed
        served = daemon.metrics().total("nearcached_stale_served_total")
        for _ in range(50):
            equal(set(conn.pipeline(*[("GET", key) for key in of_dead])), {b"after"})
        equal(daemon.metrics().total("nearcached_stale_served_total"), served)
        env.note(f"{served:.0f} values of {len(of_dead)} keys were served while their node was away ({back:.2f} s), no read failed")


@case
def a_pipeline_keeps_its_order_and_runs_once_while_its_slot_moves(env):
    cluster, daemon = _stack(env, replicas=0)
    keys = [f"{{p}}:{i}" for i in range(20)]
    slot = slot_of("{p}")
    stop = threading.Event()
    counted = [0]
    wrong = []

    def pipeline():
        with daemon.connect() as conn:
            while not stop.is_set():
                replies = conn.pipeline(*[("INCR", key) for _ in range(10) for key in keys])
                for i in range(10):
                    counted[0] += 1
                    some = replies[i * len(keys):(i + 1) * len(keys)]
                    wrong.extend(reply for reply in some if reply != counted[0])

    client = threading.Thread(target=pipeline, daemon=True)
    client.start()
    for _ in range(10):
        source = cluster.owner(slot)
        target = cluster.nodes[(cluster.nodes.index(source) + 1) % 3]
        cluster.migrate(slot, source, target, keys_at_once=3, pause=0.005)
        time.sleep(0.05)
    stop.set()
    client.join(30 * SCALE)
    equal(wrong[:5], [])
    env.note(f"{counted[0] * len(keys)} pipelined INCR over 10 moves of their slot")
    for key in keys:
        equal(int(cluster.cmd("GET", key)), counted[0])
    held = daemon.metrics().total("nearcached_cluster_requests_held_total")
    env.note(f"{held:.0f} requests waited for it")
