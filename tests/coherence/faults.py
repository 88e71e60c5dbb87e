"""What goes wrong during a run, on a schedule drawn from the seed."""

import asyncio
import collections
import contextlib
import random
import signal
import time

from harness.wait import SCALE

from .client import Client, Lost
from .load import DIRECT
from .relay import Relay
from .stand import SIDECARS

_BURST = 20000  # keys that expire, all within a second and a half
_SPARE_DB = 9
_ON_ITS_WAY = 0.5 * SCALE  # s, at most, from a relay to a reply, on a busy machine
_BURST_SCRIPT = ("for i = 1, tonumber(ARGV[1]) do redis.call('SET', 'burst:' .. i, i, 'PX', "
                 "200 + (i * 7919) % 1300) end return 'OK'")


class Faults:
    """One fault after the other. `counts` says how often each has really happened."""

    def __init__(self, stand, load, seed):
        self._stand, self._load = stand, load
        self._rng = random.Random(f"{seed} faults")
        self.counts = collections.Counter()
        self._background = set()
        self._reloads = 0
        self._stopping = False
        self._deck = [self.fill_links_killed, self.data_links_killed, self.all_links_killed,
                      self.server_stopped, self.flushed, self.configuration_reloaded]
        if any(stand.relays.values()):
            self._deck += [self.bytes_held, self.bytes_dropped, self.replies_dropped_on_fill_links]
        if "redirect" in str(stand.mode.config):
            self._deck += [self.tracking_links_killed, self.tracking_links_held,
                           self.tracking_links_dropped]
        if len(stand.nodes) > 1:
            self._deck += [self.primary_replaced] * 2
        if stand.mode.topology == "cluster":
            self._deck += [self.slots_moved] * 3
        else:  # there is one database in a cluster, and a script stays in its slot
            self._deck += [self.databases_swapped, self.keys_expire]

    async def run(self):
        """Until stop(): decks are shuffled and played, so that each fault has its turn."""
        while not self._stopping:
            deck = list(self._deck)
            self._rng.shuffle(deck)
            for fault in deck:
                if self._stopping:
                    return
                await asyncio.sleep(self._rng.uniform(0.3, 1.8))
                if await fault() is not False:
                    self.counts[fault.__name__.replace("_", " ")] += 1

    def stop(self):
        """Lets the fault under way come to its end; run() then returns."""
        self._stopping = True

    # ---- links ----

    async def _kill(self, wanted):
        def kill():
            killed = 0
            for server in self._stand.primaries():
                for row in server.clients():
                    if row["name"].startswith("nearcached") and wanted(row):
                        server.cmd("CLIENT", "KILL", "ID", row["id"])
                        killed += 1
            return killed > 0
        return await asyncio.to_thread(kill)

    async def fill_links_killed(self):
        return await self._kill(lambda row: "t" in row["flags"])

    async def tracking_links_killed(self):
        return await self._kill(lambda row: "P" in row["flags"])

    async def _tracking_pipes(self):
        rows = await asyncio.to_thread(self._stand.primary.clients)
        trackers = {row["addr"] for row in rows if "P" in row["flags"]}
        return [pipe for via in SIDECARS for relay in self._stand.relays[via]
                for pipe in relay.pipes() if pipe.server_side in trackers]

    async def tracking_links_held(self):
        """What only two sockets can do: replies go on, and the pushes come later."""
        pipes = await self._tracking_pipes()
        await Relay.hold(pipes, "replies", self._rng.uniform(0.05, 1.0))
        return bool(pipes)

    async def tracking_links_dropped(self):
        pipes = await self._tracking_pipes()
        Relay.drop(pipes, "replies")
        return bool(pipes)

    async def data_links_killed(self):
        return await self._kill(lambda row: "t" not in row["flags"])

    async def all_links_killed(self):
        return await self._kill(lambda row: True)

    def _pipes(self):
        relays = self._stand.relays[self._rng.choice(SIDECARS)]
        return [pipe for relay in relays for pipe in relay.pipes()]

    async def bytes_held(self):
        pipes = [pipe for pipe in self._pipes() if self._rng.random() < 0.6]
        direction = self._rng.choice(("requests", "replies", "both"))
        hold = asyncio.ensure_future(Relay.hold(pipes, direction, self._rng.uniform(0.1, 2.8)))
        self._background.add(hold)
        hold.add_done_callback(self._background.discard)
        if self._rng.random() < 0.5:  # else the next fault comes on top
            await hold
        return bool(pipes)

    async def bytes_dropped(self):
        pipes = [pipe for pipe in self._pipes() if self._rng.random() < 0.6]
        Relay.drop(pipes, self._rng.choice(("requests", "replies", "both")))
        return bool(pipes)

    async def replies_dropped_on_fill_links(self):
        """The worst there is for a cache: requests still arrive, pushes never do."""
        rows = await asyncio.to_thread(self._stand.primary.clients)
        fills = {row["addr"] for row in rows if "t" in row["flags"]}
        pipes = [pipe for pipe in self._pipes() if pipe.server_side in fills]
        Relay.drop(pipes, "replies")
        return bool(pipes)

    # ---- the server ----

    async def server_stopped(self):
        server = self._rng.choice(self._stand.primaries())
        longest = 1.0 if self._stand.switches_by_itself else 2.5  # s
        server.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(self._rng.uniform(0.2, longest))
        finally:
            server.signal(signal.SIGCONT)

    async def primary_replaced(self):
        stand = self._stand
        async with self._load.gate.closed():
            self._load.settle()
            if not await asyncio.to_thread(stand.in_step):
                return False
            await stand.fail_over()
        return True

    async def slots_moved(self):
        """While nobody writes, so that what a key was in the one place and is in the other are one
        line of versions; who reads is redirected at any moment."""
        stand, names = self._stand, [key.name for key in self._load.keys.all()]
        async with self._load.gate.closed():
            self._load.settle()
            moved = await asyncio.to_thread(
                stand.move_slots, self._rng.sample(names, 4), self._rng.randrange(1 << 30))
        return moved > 0

    # ---- the data ----

    async def _until_delivered(self):
        """Until nothing is held back any more: what was given up may be among it, and is executed
        then. Nobody may write before that."""
        if self._background:
            await asyncio.wait(set(self._background))
        await asyncio.sleep(_ON_ITS_WAY)

    @contextlib.asynccontextmanager
    async def _alone(self, via):
        """A connection through `via` while nobody writes; None when there is no way just now."""
        async with self._load.gate.closed():
            self._load.settle()
            client = None
            with contextlib.suppress(Lost):
                client = await Client.open(via, self._stand.port_of(via))
            try:
                yield client
            finally:
                if client:
                    client.close()

    async def _wipe(self, via, command, unannounced=()):
        """`command` leaves no key behind in the database."""
        async with self._alone(via) as client:
            if client is None:
                return False
            versions = self._load.keys.begin_flush(via, time.monotonic(), unannounced)
            try:
                (reply, now), = await client.call(command)
            except Lost:
                reply = None
            if reply != b"OK":
                await self._until_delivered()
                self._load.keys.forget(lambda key: False)  # perhaps wiped
                return False
            for key, version in versions.items():
                key.acknowledge(version, now, via)
            return True

    async def flushed(self):
        via = self._rng.choice((*SIDECARS, DIRECT))
        return await self._wipe(via, (self._rng.choice(("FLUSHALL", "FLUSHDB")),))

    async def databases_swapped(self):
        """The database changes places with an empty one. A sidecar that has not carried the SWAPDB
        itself hears nothing of it (no server announces it), and only the TTL bounds what it shows."""
        via = self._rng.choice((*SIDECARS, DIRECT))

        def empty_spare():
            with self._stand.primary.connect() as conn:
                return conn.pipeline(("SELECT", _SPARE_DB), ("FLUSHDB",))[-1] == b"OK"
        if not await asyncio.to_thread(empty_spare):
            return False
        return await self._wipe(via, ("SWAPDB", 0, _SPARE_DB),
                                unannounced=tuple(s for s in SIDECARS if s != via))

    async def keys_expire(self):
        """Tens of thousands of keys come and end, many of them tracked: pushes in heaps."""
        try:
            server = await Client.open(DIRECT, self._stand.port_of(DIRECT))
            await server.call(("EVAL", _BURST_SCRIPT, 0, _BURST))
            server.close()
            for via in SIDECARS:
                client = await Client.open(via, self._stand.port_of(via))
                await client.call(*(("MGET", *(f"burst:{i}" for i in range(at, at + 100)))
                                    for at in range(1, 2000, 100)))
                client.close()
        except Lost:
            return False
        return True

    # ---- the sidecar ----

    async def configuration_reloaded(self):
        daemon = self._stand.daemons[self._rng.choice(SIDECARS)]
        self._reloads += 1
        level = "warn" if self._reloads % 2 else "info"
        rules = [*daemon.config.get("rules", []), {"prefix": "burst:", "ttl": f"{self._reloads % 9 + 1}s"}]
        daemon.write_config({**daemon.config, "log": {"level": level}, "rules": rules})
        daemon.signal(signal.SIGHUP)
