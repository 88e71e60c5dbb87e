"""What the mode `cluster` runs against: three shards of two nodes, and a third sidecar without L1.

That one is the way past the two that are judged: it finds the node of each key, and neither of the
others hears of what it does but from the servers.
"""

import asyncio
import random

from harness.cluster import slot_of
from harness.env import merged
from harness.wait import TimedOut, eventually

from .load import DIRECT
from .stand import COMMON, Stand

# No node is taken for dead but by this run, which lets a replica take over by itself.
_NODE_TIMEOUT_MS = 15000


class ClusterStand(Stand):
    def __init__(self, env, mode):
        super().__init__(env, mode)
        self._cluster = self._router = None
        self._shards = []  # [primary, replica] of each

    async def start(self):
        await super().start()
        self._router = self.env.daemon(
            self.primary, merged(COMMON, {"upstream": {"url": self._cluster.url}, "l1": {"enabled": False}}))
        await asyncio.to_thread(self._router.wait_ready)
        return self

    def _start_servers(self):
        self._cluster = self.env.cluster(primaries=3, replicas=1, node_timeout_ms=_NODE_TIMEOUT_MS)
        self.nodes = self._cluster.nodes
        self._shards = [list(pair) for pair in zip(self.nodes[:3], self.nodes[3:])]
        self.primary = self.nodes[0]

    async def _way(self, via):
        return self._cluster.url  # the nodes say their own addresses: no relay stands in between

    def port_of(self, via):
        return self._router.port if via == DIRECT else self.daemons[via].port

    def primaries(self):
        return [primary for primary, _ in self._shards]

    @property
    def switches_by_itself(self):
        return False  # not within _NODE_TIMEOUT_MS

    def in_step(self):
        """Also about slots: a replica that takes over claims those that it had heard to be its primary's. One
        that has just moved there, and that it had not heard of, would be nobody's from then on."""
        def same():
            return all(replica.info("master_link_status") == "up" and
                       primary.info("master_repl_offset") == replica.info("slave_repl_offset") and
                       self._cluster.slots_of(primary, primary) == self._cluster.slots_of(primary, replica)
                       for primary, replica in self._shards)
        try:
            return eventually(same, "the replicas have all there is", timeout=10)
        except (TimedOut, OSError):
            return False

    async def fail_over(self):
        shard = self._shards[0]
        self._shards.append(self._shards.pop(0))  # each in its turn
        old, new = shard
        old.kill()
        new.cmd("CLUSTER", "FAILOVER", "TAKEOVER")
        await asyncio.to_thread(eventually, lambda: new.role() == "master", "the replica took over")
        shard.reverse()
        old.start()  # hears from the others that it is a replica now

    def move_slots(self, names, seed):
        """Moves the slots of these keys to other primaries. How many were moved. Blocking."""
        rng, moved = random.Random(seed), 0
        for slot in sorted({slot_of(name) for name in names}):
            source = self._cluster.owner(slot)
            targets = [primary for primary in self.primaries() if primary is not source]
            if source is not None and len(targets) == 2:
                self._cluster.migrate(slot, source, rng.choice(targets))
                moved += 1
        return moved

    def as_planned(self):
        return all(primary.role() == "master" for primary in self.primaries())
