"""A client on asyncio: pipelines of requests, each reply with the moment it came."""

import asyncio
import collections
import socket
import time

from harness.resp import _INCOMPLETE, Push, RespError, encode, parse

PATIENCE = 12.0  # s; no fault lasts so long, and every deadline of the sidecar is shorter


class Lost(Exception):
    """The connection ended, or never stood, or nobody answered."""


class Client(asyncio.Protocol):
    """One connection. `seen` is what it has read: Key -> version."""

    def __init__(self, via):
        self.via = via
        self.seen = {}
        self.closed = True
        self._buffer = bytearray()
        self._waiting = collections.deque()  # [replies still due, replies, future]
        self._transport = None

    @classmethod
    async def open(cls, via, port, proto=2):
        client = cls(via)
        try:
            await asyncio.wait_for(asyncio.get_running_loop().create_connection(
                lambda: client, "127.0.0.1", port), 3)
        except (OSError, asyncio.TimeoutError) as error:
            raise Lost(str(error)) from error
        if proto == 3:
            (hello, _), = await client.call(("HELLO", 3))
            if isinstance(hello, RespError):
                client.close()
                raise Lost(hello.text)
        return client

    async def call(self, *commands):
        """Sends all in one write. [(reply, when)] in their order."""
        if self.closed:
            raise Lost("closed")
        future = asyncio.get_running_loop().create_future()
        self._waiting.append([len(commands), [], future])
        self._transport.write(b"".join(encode(*command) for command in commands))
        try:
            return await asyncio.wait_for(future, PATIENCE)
        except asyncio.TimeoutError as error:
            self.close()
            raise Lost("no reply") from error

    def close(self):
        self.closed = True
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport):
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = transport
        self.closed = False

    def data_received(self, data):
        now = time.monotonic()
        self._buffer += data
        at = 0
        while True:
            value, end = parse(self._buffer, at)
            if value is _INCOMPLETE:
                break
            at = end
            if isinstance(value, Push):
                continue
            entry = self._waiting[0]
            entry[1].append((value, now))
            if len(entry[1]) == entry[0]:
                self._waiting.popleft()
                if not entry[2].done():
                    entry[2].set_result(entry[1])
        del self._buffer[:at]

    def connection_lost(self, _):
        self.closed = True
        for _, _, future in self._waiting:
            if not future.done():
                future.set_exception(Lost("the connection ended"))
        self._waiting.clear()
