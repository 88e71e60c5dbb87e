"""Stands between a sidecar and a server and breaks the way in between as networks do.

Each connection has two directions; each of them passes bytes on, holds them for a while, or loses
them from some moment on without telling anyone. What was held is delivered even when the sender is
gone meanwhile: a write may be executed long after it was given up.
"""

import asyncio
import socket


class _End(asyncio.Protocol):
    """One socket of a pipe."""

    def __init__(self):
        self.other = None
        self.transport = None
        self.mode = "pass"  # what becomes of bytes that arrive here: "pass", "hold", "drop"
        self.kept = bytearray()
        self.ended = False

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data):
        if self.mode == "drop":
            return
        if self.mode == "hold" or self.other is None or self.other.transport is None:
            self.kept += data
        else:
            self.other.transport.write(data)

    def release(self):
        """Hands over what was kept."""
        if self.mode == "hold":
            self.mode = "pass"
        if self.mode == "pass" and self.other and self.other.transport:
            if self.kept:
                self.other.transport.write(bytes(self.kept))
                self.kept.clear()
            if self.ended:
                self.other.transport.close()

    def connection_lost(self, _):
        self.ended = True
        if self.mode == "hold":
            return  # the other side hears of it when the rest is delivered
        if self.other and self.other.transport:
            self.other.transport.close()


class Pipe:
    def __init__(self, near):
        self.near, self.far = near, _End()
        near.other, self.far.other = self.far, near

    @property
    def open(self):
        return self.far.transport is not None and not (self.near.ended and self.far.ended)

    @property
    def server_side(self):
        """The address that the server knows it by, as CLIENT LIST writes it."""
        return "%s:%d" % self.far.transport.get_extra_info("sockname")[:2]

    def ends(self, direction):
        return {"requests": [self.near], "replies": [self.far],
                "both": [self.near, self.far]}[direction]


class Relay:
    """`port` is where the sidecar connects; `target` is the server's port."""

    def __init__(self, port, target):
        self.port, self._target = port, target
        self._pipes = []
        self._server = None

    async def start(self):
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, "127.0.0.1", self.port)
        return self

    def _accept(self):
        near = _End()
        pipe = Pipe(near)
        self._pipes = [p for p in self._pipes if p.open or not p.near.ended] + [pipe]
        asyncio.ensure_future(self._dial(pipe))
        return near

    async def _dial(self, pipe):
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: pipe.far, "127.0.0.1", self._target)
        except OSError:
            pipe.near.transport.abort()
            return
        pipe.near.release()
        if pipe.near.ended:
            pipe.far.transport.close()

    def pipes(self):
        return [pipe for pipe in self._pipes if pipe.open]

    @staticmethod
    async def hold(pipes, direction, seconds):
        ends = [end for pipe in pipes for end in pipe.ends(direction) if end.mode == "pass"]
        for end in ends:
            end.mode = "hold"
        await asyncio.sleep(seconds)
        for end in ends:
            end.release()

    @staticmethod
    def drop(pipes, direction):
        """These connections never carry a byte again that way."""
        for pipe in pipes:
            for end in pipe.ends(direction):
                end.mode = "drop"

    def close(self):
        self._server.close()
        for pipe in self._pipes:
            for end in (pipe.near, pipe.far):
                if end.transport:
                    end.transport.abort()
