"""A raw RESP client: byte-exact where a case needs bytes, parsed where it needs values.

It depends on nothing but sockets so that what a case sees is what was on the wire.
"""

import socket

from .wait import SCALE


class RespError(Exception):
    """An error reply. Returned, not raised: cases compare it."""

    def __eq__(self, other):
        return isinstance(other, RespError) and self.args == other.args

    def __hash__(self):
        return hash(self.args)

    @property
    def text(self):
        return self.args[0]


class Push(list):
    """A RESP3 push."""


class Closed(Exception):
    """The peer closed the connection where a reply was expected."""


def encode(*args):
    """One request as an array of bulk strings."""
    out = [b"*%d\r\n" % len(args)]
    for arg in args:
        if isinstance(arg, str):
            arg = arg.encode()
        elif not isinstance(arg, (bytes, bytearray)):
            arg = str(arg).encode()
        out.append(b"$%d\r\n%b\r\n" % (len(arg), arg))
    return b"".join(out)


_INCOMPLETE = object()
_AGGREGATES = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2}


def _line(buffer, at):
    end = buffer.find(b"\r\n", at)
    return (None, None) if end < 0 else (bytes(buffer[at + 1:end]), end + 2)


def parse(buffer, at=0):
    """(value, end) of the reply at `at`, or (_INCOMPLETE, at)."""
    if at >= len(buffer):
        return _INCOMPLETE, at
    kind = buffer[at]
    line, after = _line(buffer, at)
    if line is None:
        return _INCOMPLETE, at
    if kind in (ord("$"), ord("="), ord("!")):
        length = int(line)
        if length < 0:
            return None, after
        end = after + length + 2
        if len(buffer) < end:
            return _INCOMPLETE, at
        if buffer[end - 2:end] != b"\r\n":
            raise ValueError(f"a bulk string without its end at {at}: {bytes(buffer[at:end])!r}")
        body = bytes(buffer[after:end - 2])
        return (RespError(body.decode()) if kind == ord("!") else body), end
    if kind in _AGGREGATES:
        count = int(line)
        if count < 0:
            return None, after
        items = []
        position = after
        for _ in range(count * _AGGREGATES[kind]):
            item, position = parse(buffer, position)
            if item is _INCOMPLETE:
                return _INCOMPLETE, at
            items.append(item)
        if kind == ord(">"):
            return Push(items), position
        if kind == ord("%"):
            return dict(zip(map(_hashable, items[::2]), items[1::2])), position
        return items, position
    scalars = {
        ord("+"): bytes, ord("-"): lambda text: RespError(text.decode("latin-1")), ord(":"): int,
        ord("_"): lambda _: None, ord(","): float, ord("#"): lambda text: text == b"t",
        ord("("): int,
    }
    if kind not in scalars:
        raise ValueError(f"no reply begins like this: {bytes(buffer[at:at + 40])!r}")
    return scalars[kind](line), after


def _hashable(value):
    return tuple(value) if isinstance(value, list) else value


class Conn:
    """One client connection. Address: a TCP port on loopback, or the path of a unix socket."""

    def __init__(self, address, timeout=20.0, proto=None, rcvbuf=None):
        self.address = address
        family = socket.AF_INET if isinstance(address, int) else socket.AF_UNIX
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout * SCALE)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.connect(("127.0.0.1", address) if isinstance(address, int) else address)
        if family == socket.AF_INET:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._at = 0
        self.pushes = []
        if proto:
            hello = self.cmd("HELLO", proto)
            if isinstance(hello, RespError):
                raise AssertionError(f"HELLO {proto}: {hello}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def send_cmd(self, *args):
        self.send(encode(*args))

    def _fill(self):
        data = self.sock.recv(1 << 18)
        if not data:
            raise Closed(f"closed by the peer; unread: {bytes(self._buffer[self._at:])[:200]!r}")
        if self._at > (1 << 20):
            del self._buffer[:self._at]
            self._at = 0
        self._buffer += data

    def _next(self):
        # Re-parses from the start of the reply after each read; doubling what it waits for keeps
        # large replies from costing quadratic time.
        want = 0
        while True:
            if len(self._buffer) - self._at >= want:
                value, end = parse(self._buffer, self._at)
                if value is not _INCOMPLETE:
                    raw = bytes(self._buffer[self._at:end])
                    self._at = end
                    return value, raw
                want = 0 if len(self._buffer) - self._at < (1 << 16) else (
                    self._known_need() or 0)
            self._fill()

    def _known_need(self):
        """Bytes a large bulk string at the head needs, where the head says so."""
        line, after = _line(self._buffer, self._at)
        if line is not None and self._buffer[self._at] == ord("$"):
            return after - self._at + int(line) + 2
        return None

    def read(self):
        """The next reply; pushes are set aside in `pushes`."""
        while True:
            value, _ = self._next()
            if isinstance(value, Push):
                self.pushes.append(value)
                continue
            return value

    def read_any(self):
        """The next reply or push."""
        return self._next()[0]

    def read_frame(self):
        """(value, exact bytes) of the next reply or push."""
        return self._next()

    def read_raw(self):
        """The exact bytes of the next reply, pushes set aside."""
        while True:
            value, raw = self._next()
            if isinstance(value, Push):
                self.pushes.append(value)
                continue
            return raw

    def cmd(self, *args):
        self.send_cmd(*args)
        return self.read()

    def raw(self, *args):
        self.send_cmd(*args)
        return self.read_raw()

    def pipeline(self, *commands):
        """Sends all in one write, returns the replies in order."""
        self.send(b"".join(encode(*command) for command in commands))
        return [self.read() for _ in commands]

    def read_to_end(self, limit=1 << 20):
        """Everything until the peer closes (at most `limit` bytes), with what was buffered."""
        data = bytes(self._buffer[self._at:])
        self._at = len(self._buffer)
        while len(data) < limit:
            try:
                more = self.sock.recv(1 << 16)
            except ConnectionResetError:
                break
            if not more:
                break
            data += more
        return data

    def silent(self, seconds):
        """True if nothing at all arrives for `seconds`. Only for claims of the form "nobody answers
        before X happens": the caller must make X happen afterwards and see the answer."""
        if self._at < len(self._buffer):
            return False
        old = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(1 << 16)
            self._buffer += data
            return False
        except socket.timeout:
            return True
        finally:
            self.sock.settimeout(old)
