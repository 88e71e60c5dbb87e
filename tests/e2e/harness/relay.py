"""A relay between the daemon and its server that can keep invalidations to itself.

Everything else passes at once and in order. A client's own write must act without any push, and
only a relay shows that it does: on loopback the push is there before anyone can look.
"""

import socket
import threading

from .processes import free_port
from .resp import _INCOMPLETE, Push, parse


class PushRelay:
    """`url` is where a daemon connects; `upstream` is anything with a port on loopback."""

    def __init__(self, upstream):
        self.port = free_port()
        self.held = 0  # pushes kept since the last hold()
        self._upstream = upstream
        self._lock = threading.Lock()
        self._holding = False
        self._kept = []  # (socket of the daemon's side, bytes)
        self._sockets = []
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def hold(self):
        """From now on no invalidation reaches the daemon."""
        with self._lock:
            self._holding = True
            self.held = 0

    def release(self):
        """Hands over what was kept, in the order it came."""
        with self._lock:
            self._holding = False
            for sock, data in self._kept:
                sock.sendall(data)
            self._kept.clear()

    def close(self):
        self._listener.close()
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._upstream.port))
            except OSError:
                return
            for sock in (near, far):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets.append(sock)
            threading.Thread(target=self._requests, args=(near, far), daemon=True).start()
            threading.Thread(target=self._replies, args=(far, near), daemon=True).start()

    @staticmethod
    def _requests(near, far):
        try:
            while data := near.recv(1 << 16):
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _replies(self, far, near):
        buffer = bytearray()
        try:
            while data := far.recv(1 << 16):
                buffer += data
                at = 0
                while True:
                    value, end = parse(buffer, at)
                    if value is _INCOMPLETE:
                        break
                    self._pass_on(near, value, bytes(buffer[at:end]))
                    at = end
                del buffer[:at]
            near.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _pass_on(self, near, value, data):
        with self._lock:
            if self._holding and isinstance(value, Push) and value[0] == b"invalidate":
                self._kept.append((near, data))
                self.held += 1
            else:
                near.sendall(data)
