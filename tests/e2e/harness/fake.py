"""An upstream that misbehaves on purpose: a small Redis whose answers a case may replace.

The default answers are enough for the daemon to connect, negotiate and read: HELLO, AUTH, SELECT,
CLIENT …, PING, ROLE, INFO, COMMAND and a string map. A case passes `script(link, args)`, which
returns bytes to send instead, None to fall through to the default, or one of the actions below.
"""

import socket
import threading

from .processes import free_port
from .resp import _INCOMPLETE, encode, parse


class Action:
    """What to do instead of answering; `data` is sent first."""

    def __init__(self, name, data=b""):
        self.name = name
        self.data = data

    def after(self, data):
        return Action(self.name, data)


CLOSE = Action("close")  # drop the connection now
# Keep the connection and answer neither this nor anything behind it until Link.release().
STALL = Action("stall")


def bulk(value):
    return b"$-1\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value)


class Link:
    """One accepted connection."""

    def __init__(self, fake, sock, number):
        self.fake = fake
        self.sock = sock
        self.lock = threading.RLock()  # the link's own thread and the case's, which releases
        self.backlog = None  # while stalled: the requests behind the one that is
        self.number = number
        self.proto = 2
        self.tracking = False
        self.seen = []

    def send(self, data):
        self.sock.sendall(data)

    def release(self, data):
        """Sends `data` as the reply that was held back, then answers what came behind it."""
        with self.lock:
            backlog, self.backlog = self.backlog, None
            self.send(data)
            for args in backlog:
                self.fake.answer(self, args)

    def nil(self):
        return b"_\r\n" if self.proto == 3 else b"$-1\r\n"


class FakeUpstream:
    def __init__(self, script=None):
        self.script = script or (lambda link, args: None)
        self.port = free_port()
        self.links = []
        self.data = {}
        self._listener = None
        self.listen()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def listen(self):
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(128)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self):
        if self._listener:
            self._listener.close()
        self.drop_links()

    def drop_links(self):
        for link in list(self.links):
            try:
                link.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def commands(self):
        """All the commands that came, upper case name first, over all the links."""
        return [args for link in list(self.links) for args in list(link.seen)]

    def count(self, name):
        return sum(1 for args in self.commands() if args[0].upper() == name)

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(self, sock, len(self.links))
            self.links.append(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        buffer = bytearray()
        try:
            while True:
                data = link.sock.recv(1 << 16)
                if not data:
                    return
                buffer += data
                at = 0
                while True:
                    args, end = parse(buffer, at)
                    if args is _INCOMPLETE:
                        break
                    at = end
                    link.seen.append([args[0].upper().decode(), *args[1:]])
                    if not self.answer(link, args):
                        return
                del buffer[:at]
        except OSError:
            pass
        finally:
            link.sock.close()

    def answer(self, link, args):
        """False once the link is to be closed."""
        with link.lock:
            if link.backlog is not None:
                link.backlog.append(args)
                return True
            reply = self.script(link, [args[0].upper().decode(), *args[1:]])
            if reply is None:
                reply = self.default(link, args)
            if isinstance(reply, bytes):
                link.send(reply)
                return True
            if reply.data:
                link.send(reply.data)
            if reply.name == "stall":
                link.backlog = []
                return True
            return False

    def default(self, link, args):
        name = args[0].upper().decode()
        handler = getattr(self, f"_do_{name.lower()}", None)
        return handler(link, args) if handler else b"-ERR unknown command '%b'\r\n" % args[0]

    def _do_hello(self, link, args):
        link.proto = int(args[1]) if len(args) > 1 else link.proto
        fields = [b"server", b"redis", b"version", b"7.0.15", b"proto", link.proto, b"id",
                  link.number + 1, b"mode", b"standalone", b"role", b"master", b"modules", []]
        body = b"".join(b":%d\r\n" % f if isinstance(f, int) else b"*0\r\n" if f == []
                        else bulk(f) for f in fields)
        return (b"%%%d\r\n" % 7 if link.proto == 3 else b"*14\r\n") + body

    def _do_client(self, link, args):
        sub = args[1].upper()
        if sub == b"ID":
            return b":%d\r\n" % (link.number + 1)
        if sub == b"TRACKING":
            link.tracking = args[2].upper() == b"ON"
        return b"+OK\r\n"

    def _do_role(self, link, args):
        return b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"

    def _do_info(self, link, args):
        return bulk(b"# Server\r\nredis_version:7.0.15\r\n# Replication\r\nrole:master\r\n")

    def _do_command(self, link, args):
        return b"*0\r\n"

    def _do_ping(self, link, args):
        return bulk(args[1]) if len(args) > 1 else b"+PONG\r\n"

    def _do_echo(self, link, args):
        return bulk(args[1])

    def _do_auth(self, link, args):
        return b"+OK\r\n"

    _do_select = _do_auth
    _do_reset = lambda self, link, args: b"+RESET\r\n"

    def _do_get(self, link, args):
        value = self.data.get(args[1])
        return link.nil() if value is None else bulk(value)

    def _do_mget(self, link, args):
        values = [self.data.get(key) for key in args[1:]]
        return b"*%d\r\n" % len(values) + b"".join(
            link.nil() if value is None else bulk(value) for value in values)

    def _do_pttl(self, link, args):
        return b":-1\r\n" if args[1] in self.data else b":-2\r\n"

    def _do_set(self, link, args):
        self.data[args[1]] = args[2]
        self.invalidate(args[1])
        return b"+OK\r\n"

    def _do_del(self, link, args):
        gone = [key for key in args[1:] if self.data.pop(key, None) is not None]
        for key in gone:
            self.invalidate(key)
        return b":%d\r\n" % len(gone)

    def invalidate(self, key):
        push = b">2\r\n$10\r\ninvalidate\r\n*1\r\n" + bulk(key)
        for link in list(self.links):
            if link.tracking and link.proto == 3:
                try:
                    link.send(push)
                except OSError:
                    pass


__all__ = ["CLOSE", "STALL", "FakeUpstream", "Link", "bulk", "encode"]
