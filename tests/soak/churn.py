"""The clients of the soak: thousands of connections in one thread, each doing a bit of everything.

Every client lives a short life: it connects over RESP2 or RESP3, takes a number of steps with pauses
between them, and ends in one of the ways applications end, most of them rude. Then a new one takes its
place. Values say which key they belong to at both ends, so a reply that is torn, or another client's,
is noticed.
"""

import asyncio
import collections
import random
import socket
import struct
import time

from harness.resp import _INCOMPLETE, Push, RespError, encode, parse

SMALL_KEYS = 20_000
BIG_KEYS = 40
BIG_BYTES = (64 << 10, 1 << 20)
QUEUES = 20
CHANNELS = 50
STEPS_MAX = 40
REPLY_TIMEOUT = 60.0  # a machine that is busy with other things is no failure of the daemon


class Unexpected(Exception):
    """A reply that must not be."""


class Connection(asyncio.Protocol):
    """RESP over one socket: requests out, replies in order, pushes apart."""

    def __init__(self):
        self.transport = None
        self.replies = collections.deque()
        self.is_closed = False
        self._buffer = bytearray()
        self._need = 0
        self._waiter = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self._buffer += data
        if len(self._buffer) < self._need:
            return
        at = 0
        while at < len(self._buffer):
            value, end = parse(self._buffer, at)
            if value is _INCOMPLETE:
                break
            self.replies.append(value)
            at = end
        del self._buffer[:at]
        self._need = self._bytes_of_head()
        self._wake()

    def _bytes_of_head(self):
        """How long the bulk string at the head is, so that a large one is not parsed at every packet."""
        if self._buffer[:1] != b"$":
            return 0
        end = self._buffer.find(b"\r\n")
        return 0 if end < 0 else end + 2 + int(self._buffer[1:end]) + 2

    def connection_lost(self, _):
        self.is_closed = True
        self._wake()

    def _wake(self):
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def send(self, *commands):
        self.transport.write(b"".join(encode(*command) for command in commands))

    async def receive(self, timeout=REPLY_TIMEOUT):
        """The next reply or push. Raises asyncio.TimeoutError when nothing came in time."""
        deadline = time.monotonic() + timeout
        while not self.replies:
            if self.is_closed:
                raise Unexpected("closed by the daemon")
            self._waiter = asyncio.get_running_loop().create_future()
            await asyncio.wait_for(self._waiter, deadline - time.monotonic())
        return self.replies.popleft()

    async def ask(self, *commands):
        """Sends all at once; the replies, none of which may be an error."""
        self.send(*commands)
        out = []
        for command in commands:
            try:
                reply = await self.receive()
            except asyncio.TimeoutError:
                raise Unexpected(f"no reply to {command[0]} within {REPLY_TIMEOUT:.0f} s") from None
            if isinstance(reply, RespError):
                raise Unexpected(f"{command[0]}: {reply.text}")
            out.append(reply)
        return out

    def abort(self):
        """A reset instead of a goodbye, whatever is still under way."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None and not self.is_closed:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def small_key():
    return b"soak:%d" % min(int(random.expovariate(8) * SMALL_KEYS), SMALL_KEYS - 1)


def big_key():
    return b"soak:big:%d" % random.randrange(BIG_KEYS)


_FILLER = random.Random(1).randbytes(BIG_BYTES[1])


def value_of(key, size):
    return b"%b<%b>%b" % (key, _FILLER[:size], key)


def check_value(key, value):
    if value is not None and not (value.startswith(key + b"<") and value.endswith(b">" + key)):
        raise Unexpected(f"GET {key.decode()} gave {value[:60]!r}…{value[-30:]!r}")


# ---- what a client does between its pauses ------------------------------------------------------

async def get(conn):
    key = small_key()
    check_value(key, (await conn.ask(("GET", key)))[0])


async def put(conn):
    key = small_key()
    await conn.ask(("SET", key, value_of(key, random.randrange(1024)), "PX", 600_000))


async def mget(conn):
    keys = [small_key() for _ in range(20)]
    for key, value in zip(keys, (await conn.ask(("MGET", *keys)))[0], strict=True):
        check_value(key, value)


async def pipeline(conn):
    """Reads and a counter: the counter's replies are in order, and the reads are its own writes."""
    key = b"soak:own:%d" % random.randrange(1 << 30)
    commands = [("SET", key, b"0", "PX", 60_000)]
    for _ in range(10):
        commands += [("INCR", key), ("GET", key)]
    replies = await conn.ask(*commands)
    expected = [b"OK"] + [value for i in range(1, 11) for value in (i, b"%d" % i)]
    if replies != expected:
        raise Unexpected(f"pipeline: {replies}")


async def transaction(conn):
    key = small_key()
    value = value_of(key, 100)
    kind = random.random()
    if kind < 0.2:
        await conn.ask(("MULTI",), ("SET", key, value), ("DISCARD",))
        return
    commands = [("MULTI",), ("SET", key, value, "PX", 600_000), ("GET", key), ("EXEC",)]
    if kind < 0.5:
        commands.insert(0, ("WATCH", key))
    done = (await conn.ask(*commands))[-1]
    if done is not None and done != [b"OK", value]:  # nil: somebody wrote the watched key
        raise Unexpected(f"EXEC: {done}")


async def pop(conn):
    queue = b"soak:queue:%d" % random.randrange(QUEUES)
    if random.random() < 0.5:
        await conn.ask(("LPUSH", queue, queue), ("LTRIM", queue, 0, 9))
        return
    done = (await conn.ask(("BLPOP", queue, 1)))[0]
    if done is not None and done != [queue, queue]:
        raise Unexpected(f"BLPOP: {done}")


async def subscribe(conn):
    channel = b"soak:news:%d" % random.randrange(CHANNELS)
    if random.random() < 0.7:
        await conn.ask(("PUBLISH", channel, channel))
        return
    await conn.ask(("SUBSCRIBE", channel))
    try:
        message = await conn.receive(timeout=2.0)
        if list(message) != [b"message", channel, channel]:
            raise Unexpected(f"message: {message}")
    except asyncio.TimeoutError:
        pass  # nobody published
    conn.send(("UNSUBSCRIBE", channel))
    while True:
        reply = await conn.receive()  # messages may come before the confirmation
        if not isinstance(reply, (list, Push)):
            raise Unexpected(f"UNSUBSCRIBE: {reply!r}")
        if reply[0] == b"unsubscribe":
            return


async def big(conn):
    key = big_key()
    if random.random() < 0.3:
        await conn.ask(("SET", key, value_of(key, random.randrange(*BIG_BYTES))))
    else:
        check_value(key, (await conn.ask(("GET", key)))[0])


async def script(conn):
    key = small_key()
    value = (await conn.ask(("EVAL", "return redis.call('GET', KEYS[1])", 1, key)))[0]
    check_value(key, value)


async def database(conn):
    """Another database's values are another key's."""
    key = small_key()
    replies = await conn.ask(("SELECT", 1), ("GET", key), ("SELECT", 0), ("PING",))
    if replies != [b"OK", None, b"OK", b"PONG"]:
        raise Unexpected(f"SELECT: {replies}")


# How often each is taken. Large values seldom: the allocator gives memory back after some ten seconds,
# and what these leave behind in that time would hide a slow leak.
STEPS = {get: 50, put: 14, mget: 10, pipeline: 8, transaction: 6, pop: 4, subscribe: 4, big: 0.3,
         script: 2, database: 2}

# ---- how a client ends ---------------------------------------------------------------------------
# What is sent last. All but the first two are cut off by a reset in the middle of what they began.


def half_a_request(conn):
    conn.transport.write(b"*3\r\n$3\r\nSET\r\n$6\r\nsoak:x\r\n$100000\r\nabc")


def big_reply_unread(conn):
    conn.send(("GET", big_key()))


def inside_multi(conn):
    conn.send(("MULTI",), ("SET", small_key(), b"never"))


def while_blocked(conn):
    conn.send(("BLPOP", b"soak:nobody", 0))


def while_subscribed(conn):
    conn.send(("SUBSCRIBE", b"soak:news:0"))


def pipeline_unread(conn):
    conn.send(*[("GET", small_key()) for _ in range(50)])


RUDE_ENDS = (half_a_request, big_reply_unread, inside_multi, while_blocked, while_subscribed,
             pipeline_unread)


class Churn:
    """`count` clients at a time against 127.0.0.1:`port`, within `cpu_share` of one CPU."""

    def __init__(self, port, count, cpu_share):
        self.port = port
        self.count = count
        self.cpu_share = cpu_share
        self.pause = count / 500.0  # mean seconds between a client's steps; adapts
        self.steps = 0
        self.lives = 0
        self.open = 0
        self.failures = collections.Counter()
        self._ending = False

    async def run(self, seconds):
        """Until `seconds` have passed and every client has gone."""
        loop = asyncio.get_running_loop()
        clients = [loop.create_task(self._client(i * 10.0 / self.count)) for i in range(self.count)]
        pacer = loop.create_task(self._pace())
        await asyncio.sleep(seconds)
        self._ending = True
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        pacer.cancel()

    async def _pace(self):
        """Slower or faster until this process takes its share of the CPU and no more."""
        while True:
            cpu, wall = time.process_time(), time.monotonic()
            await asyncio.sleep(2.0)
            share = (time.process_time() - cpu) / (time.monotonic() - wall)
            self.pause = min(max(self.pause * min(max(share / self.cpu_share, 0.8), 1.25), 0.05), 60.0)

    async def _client(self, delay):
        await asyncio.sleep(delay)
        while not self._ending:
            try:
                await self._life()
            except Unexpected as failure:
                self._fail(str(failure))
            except asyncio.TimeoutError:
                self._fail(f"a push did not come within {REPLY_TIMEOUT:.0f} s")

    def _fail(self, text):
        if len(self.failures) < 50 or text in self.failures:
            self.failures[text] += 1

    async def _life(self):
        try:
            _, conn = await asyncio.get_running_loop().create_connection(
                Connection, "127.0.0.1", self.port)
        except OSError as failure:
            await asyncio.sleep(1.0)
            raise Unexpected(f"connect: {failure}") from failure
        self.open += 1
        self.lives += 1
        try:
            if random.random() < 0.5:
                await conn.ask(("HELLO", 3))
            for _ in range(random.randrange(1, STEPS_MAX)):
                await asyncio.sleep(random.expovariate(1.0) * self.pause)
                if self._ending:  # wait_for may have swallowed the cancellation with a reply that came
                    return
                step, = random.choices(list(STEPS), STEPS.values())
                await step(conn)
                self.steps += 1
            how = random.random()
            if how < 0.3:
                await conn.ask(("QUIT",))
            elif how > 0.5:
                random.choice(RUDE_ENDS)(conn)
                await asyncio.sleep(random.random() * 0.05)
                conn.abort()
        finally:
            self.open -= 1
            conn.transport.close()
