"""Writers of rising versions and readers of them, through both sidecars and straight to the server."""

import asyncio
import contextlib
import random
import time

from harness.resp import RespError

from .client import Client, Lost
from .history import Key, Read
from .kinds import kind_of, reads, replacing, value_in

DIRECT = "server"
_IMPATIENCE = 0.1  # s without a reply, then a reader goes on over another connection
_ASIDE_MAX = 60    # connections that readers have left waiting


class Gate:
    """Writers pass while it is open. Whoever closes it is alone with the data until it opens again."""

    def __init__(self):
        self._open = asyncio.Event()
        self._open.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._inside = 0
        self._closing = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def write(self):
        while not self._open.is_set():
            await self._open.wait()
        self._inside += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._idle.set()

    @contextlib.asynccontextmanager
    async def closed(self):
        async with self._closing:
            self._open.clear()
            try:
                await self._idle.wait()
                yield
            finally:
                self._open.set()


class Keyspace:
    """The keys in use. Registers belong to the writer of their index; counters to everybody."""

    def __init__(self, registers, counters, sidecars):
        self.sidecars = sidecars
        ways = [sidecars[0], sidecars[1], None, None]
        self.registers = [Key(kind_of(i), i, 0, ways[i % 4]) for i in range(registers)]
        self.counters = [Key("counter", i, 0, None) for i in range(counters)]

    def all(self):
        return self.registers + self.counters

    def retire(self, key):
        """Nobody writes to it any more; its successor takes its place."""
        key.unknown = True
        row = self.counters if key.kind == "counter" else self.registers
        if row[key.index] is key:
            row[key.index] = key.successor()

    def forget(self, known):
        """What Redis has from here on need not follow from what it had: `known` says which keys'
        versions go on all the same. Reads of the others are not judged any more."""
        for key in self.all():
            if not known(key):
                key.dead = True
                self.retire(key)

    def begin_flush(self, via, now, unannounced=()):
        """A command through `via` is about to remove all keys; readers may see that long before it is
        acknowledged. Counters begin again under new names. Its versions, by key."""
        versions = {key: key.begin(now, nil=True) for key in self.registers}
        for key, version in versions.items():
            key.versions[version].unannounced = unannounced
            key.versions[version].elsewhere = key.only not in (None, via)
        self.forget(lambda key: key.kind != "counter")
        return versions


class Load:
    """All the traffic of a run. `port_of(via)` says where to connect just now."""

    def __init__(self, judge, sidecars, port_of, seed, rate):
        self.judge, self.sidecars, self.port_of = judge, sidecars, port_of
        self.keys = Keyspace(60, 12, sidecars)
        self.gate = Gate()
        self.writes = self.unknown = self.read_errors = 0
        self._rate = rate
        self._seed = seed
        self._retired = set()  # with a write that may still come
        self._tasks = []
        self._aside = set()
        self._broken = []  # what went wrong in the checker itself, where nobody waits for it
        self._stopping = False

    def start(self, readers=8, writers=4):
        def rng(*what):
            return random.Random(f"{self._seed} {what}")
        for via in self.sidecars:
            for i in range(readers):
                self._tasks.append(asyncio.ensure_future(self._reader(via, 2 + i % 2, rng("reader", via, i))))
        for i in range(writers):
            self._tasks.append(asyncio.ensure_future(self._writer(i, writers, rng("writer", i))))
        for via in [*self.sidecars, DIRECT]:
            self._tasks.append(asyncio.ensure_future(self._counter(via, rng("counter", via))))

    async def stop(self):
        # Both: until Python 3.12 wait_for() may swallow a cancellation.
        self._stopping = True
        tasks = [*self._tasks, *self._aside]
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for result in [*ended, *self._broken]:
            if isinstance(result, Exception):  # which CancelledError is not
                raise result

    def settle(self):
        """The line of versions of a key whose last write may still come ends here. Only with the
        gate closed, before something that would put other versions behind that write."""
        for key in self._retired:
            key.dead = True
            self.keys.retire(key)
        self._retired.clear()

    async def _pause(self, rng, seconds):
        await asyncio.sleep(rng.expovariate(1.0 / seconds) / self._rate)

    # ---- reads ----

    async def _reader(self, via, proto, rng):
        """Reads on, whoever does not answer: a reader that waited would be silent just when a link is
        broken and what L1 still shows is of interest."""
        client = None
        while not self._stopping:
            await self._pause(rng, 0.02)
            if client is None or client.closed:
                try:
                    client = await Client.open(via, self.port_of(via), proto)
                except Lost:
                    self.read_errors += 1
                    await asyncio.sleep(0.1)
                    continue
            reading = asyncio.ensure_future(self._read_once(client, rng))
            patience = _IMPATIENCE if len(self._aside) < _ASIDE_MAX else None
            if not (await asyncio.wait([reading], timeout=patience))[0]:
                self._aside.add(reading)
                reading.add_done_callback(lambda task, left=client: self._back(task, left))
                client = None
            elif reading.result() is None:
                await asyncio.sleep(0.1)

    def _back(self, reading, client):
        self._aside.discard(reading)
        client.close()
        if not reading.cancelled() and reading.exception():
            self._broken.append(reading.exception())

    def _readable(self, via, rng):
        """A key that `via` may be asked for; low numbers are hot."""
        while True:
            row = self.keys.counters if rng.random() < 0.2 else self.keys.registers
            key = row[int(len(row) * rng.random() ** 2)]
            if key.only in (None, via):
                return key

    async def _read_once(self, client, rng):
        """One pipeline of reads, judged. How many replies there were, or None when the connection
        was lost."""
        keys = [self._readable(client.via, rng) for _ in range(rng.choice((1, 1, 2, 4)))]
        plain = [key for key in keys if key.kind in ("string", "counter")]
        if len(plain) > 1 and rng.random() < 0.6:
            groups = [plain] + [[key] for key in keys if key not in plain]
        else:
            groups = [[key] for key in keys]
        commands = [self._command(group, rng) for group in groups]
        sent = time.monotonic()
        asked = [[Read.of(key, client.via, sent, client.seen) for key in group] for group in groups]
        try:
            replies = await client.call(*commands)
        except Lost:
            self.read_errors += 1
            return None
        for group, command, (reply, now) in zip(asked, commands, replies):
            if isinstance(reply, RespError):
                self.read_errors += 1
                continue
            values = reply if command[0] == "MGET" else [value_in(reply)]
            for read, value in zip(group, values, strict=True):
                self.judge.judge(read, value, now)
        return len(replies)

    @staticmethod
    def _command(group, rng):
        key = group[0]
        if len(group) > 1:
            return ("MGET", *(k.name for k in group))
        return rng.choice(reads(key))

    # ---- writes ----

    async def _connected(self, clients, via):
        client = clients.get(via)
        if client is None or client.closed:
            client = clients[via] = await Client.open(via, self.port_of(via))
        return client

    async def _counter(self, via, rng):
        clients = {}
        while not self._stopping:
            await self._pause(rng, 0.05)
            async with self.gate.write():
                try:
                    client = await self._connected(clients, via)
                except Lost:
                    continue
                key = rng.choice(self.keys.counters)
                key.begin(time.monotonic())
                try:
                    (reply, now), = await client.call(("INCR", key.name))
                except Lost:
                    reply = None
                if isinstance(reply, int):
                    self.writes += 1
                    key.acknowledge(reply, now, via)
                else:
                    self.unknown += 1
                    self._retired.add(key)  # it stays in use: an INCR that comes late only adds

    async def _writer(self, number, writers, rng):
        clients = {}
        while not self._stopping:
            await self._pause(rng, 0.025)
            async with self.gate.write():
                index = rng.randrange(number, len(self.keys.registers), writers)
                key = self.keys.registers[index]
                via = key.only or rng.choice((*self.sidecars, DIRECT))
                try:
                    client = await self._connected(clients, via)
                except Lost:
                    continue
                try:
                    known = await self._write(client, key, number, rng)
                except Lost:
                    known = False
                if known:
                    self.writes += 1
                    continue
                self.unknown += 1
                self._retired.add(key)
                self.keys.retire(key)
            await asyncio.sleep(0.3)  # outside of the gate, so that nobody waits for it

    async def _write(self, client, key, number, rng):
        """One write of `key`; whether its outcome is known."""
        what = rng.random()
        if what < 0.10:
            return await self._simple(client, key, (rng.choice(("DEL", "UNLINK")), key.name), nil=True)
        if what < 0.20 and not key.versions[-1].nil:
            return await self._expire(client, key, rng.randrange(100, 1500))
        value = key.value(key.newest + 1, number)
        commands = replacing(key, value)
        if commands:
            return await self._simple(client, key, *commands)
        if what < 0.45:
            return await self._simple(client, key, ("SET", key.name, value), px=rng.randrange(50, 1500))
        other = f"{{{key.name}}}.other"  # in a cluster: of the same slot
        if what < 0.52:
            return await self._simple(client, key, ("SET", other, value), ("RENAME", other, key.name))
        if what < 0.59:
            return await self._simple(client, key, ("SET", other, value),
                                      ("COPY", other, key.name, "REPLACE"))
        if what < 0.65:
            return await self._simple(client, key, ("MULTI",), ("SET", key.name, value), ("EXEC",))
        return await self._simple(client, key, ("SET", key.name, value))

    async def _simple(self, client, key, *commands, nil=False, px=None):
        """Sends `commands`, of which the last is what changes `key`, and often a read right behind."""
        if px:
            commands = [(*commands[0], "PX", px)]
        begun = time.monotonic()
        version = key.begin(begun, nil)
        if px:
            key.ends_between(begun + px / 1000, None)
        read = None
        if client.via != DIRECT:
            read = Read.of(key, client.via, begun, client.seen, behind=version)
            commands = [*commands, reads(key)[0]]
        replies = await client.call(*commands)
        changes = replies[:-1] if read else replies
        if any(failed(reply) for reply, _ in changes):
            return False
        now = changes[-1][1]
        key.acknowledge(version, now, client.via)
        if px:
            key.versions[version + 1].acked = now + px / 1000
        if read and not isinstance(replies[-1][0], RespError):
            self.judge.judge(read, value_in(replies[-1][0]), replies[-1][1])
        return True

    @staticmethod
    async def _expire(client, key, px):
        begun = time.monotonic()
        key.ends_between(begun + px / 1000, None)
        (reply, now), = await client.call(("PEXPIRE", key.name, px))
        if reply == 1:
            end = key.versions[-1]
            end.acked, end.told, end.told_to = now + px / 1000, now, client.via
        return reply == 1


def failed(reply):
    """Whether a write's reply is an error, or that of an EXEC which carried none out."""
    if isinstance(reply, list):
        return any(isinstance(part, RespError) for part in reply)
    return reply is None or isinstance(reply, RespError)
