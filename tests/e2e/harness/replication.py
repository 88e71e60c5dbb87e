"""A primary with replicas, sentinels that watch them, and load that counts what a failover costs."""

import os
import threading
import time

import redis as redis_py

from .processes import RedisServer, Server, free_port
from .resp import Closed, Conn, RespError
from .wait import SCALE, eventually

MASTER = "mymaster"


def role_of(server):
    try:
        reply = server.cmd("ROLE")
    except (OSError, Closed):  # a sentinel that demotes a node hangs up on its clients
        return "down"
    return "down" if isinstance(reply, RespError) else reply[0].decode()


class ReplicaSet:
    """One primary and its replicas, all in step when this returns."""

    def __init__(self, env, replicas=2):
        # A replica is of use the moment it is told to be one; the default delay is five seconds.
        quick = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]
        self.nodes = [env.redis(*quick)]
        for _ in range(replicas):
            self.nodes.append(
                env.redis(*quick, "--replicaof", f"127.0.0.1 {self.nodes[0].port}"))
        eventually(lambda: self.nodes[0].info("connected_slaves") == str(replicas)
                   and all(n.info("master_link_status") == "up" for n in self.nodes[1:]),
                   "replicas are in step", timeout=30)

    @property
    def url(self):
        return "redis://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def promote(self, node):
        """What an operator does: one node becomes the primary, the others that answer follow it."""
        node.cmd("REPLICAOF", "NO", "ONE")
        for other in self.nodes:
            if other is not node and other.alive() and not getattr(other, "frozen", False):
                other.cmd("REPLICAOF", "127.0.0.1", node.port)

    def primary(self):
        """The only node that answers and calls itself primary; None while there is none, or several."""
        found = []
        for node in self.nodes:
            if node.alive() and not getattr(node, "frozen", False):
                if role_of(node) == "master":
                    found.append(node)
        return found[0] if len(found) == 1 else None


class Sentinel(Server):
    def __init__(self, folder, name, primary_port, quorum, down_after_ms, tls=()):
        """`tls`: lines of its configuration that let it speak TLS as well, on `tls_port`."""
        super().__init__(name, folder)
        self.port = free_port()
        self.tls_port = free_port() if tls else None
        self.conf = os.path.join(folder, f"{name}.conf")
        with open(self.conf, "w") as conf:
            conf.write(f"port {self.port}\nbind 127.0.0.1\ndir {folder}\n"
                       f"sentinel monitor {MASTER} 127.0.0.1 {primary_port} {quorum}\n"
                       f"sentinel down-after-milliseconds {MASTER} {int(down_after_ms * SCALE)}\n"
                       f"sentinel failover-timeout {MASTER} 3000\n")
            if tls:
                conf.write("\n".join([f"tls-port {self.tls_port}", *tls, ""]))

    def start(self):
        self.spawn(["redis-server", self.conf, "--sentinel"])
        eventually(lambda: self.cmd("PING") == b"PONG", f"{self.name} answers PING")
        return self

    def cmd(self, *args):
        with Conn(self.port) as conn:
            return conn.cmd(*args)

    def master_fields(self):
        flat = self.cmd("SENTINEL", "MASTER", MASTER)
        return dict(zip([f.decode() for f in flat[::2]], [f.decode() for f in flat[1::2]]))


class Sentinels:
    """Sentinels that know each other and the replicas when this returns."""

    def __init__(self, env, replica_set, count=3, down_after_ms=500):
        self.all = []
        for i in range(count):
            self.all.append(env.adopt(Sentinel(env.folder, f"sentinel{i}",
                                               replica_set.nodes[0].port, count // 2 + 1,
                                               down_after_ms)).start())
        wanted = {"num-other-sentinels": str(count - 1),
                  "num-slaves": str(len(replica_set.nodes) - 1), "flags": "master"}

        def ready():
            return all(wanted.items() <= s.master_fields().items() for s in self.all)
        eventually(ready, "sentinels know each other", timeout=40)

    @property
    def url(self):
        hosts = ",".join(f"127.0.0.1:{s.port}" for s in self.all)
        return f"redis-sentinel://{hosts}#{MASTER}"


class _Writer(threading.Thread):
    """Writes one rising number after the other, each to a key of its own and to one they share."""

    def __init__(self, load, name, connect):
        super().__init__(daemon=True)
        self.load, self.name, self.connect = load, name, connect
        self.acked = []   # (number, when acknowledged)
        self.errors = []  # (when, text)

    def run(self):
        client, number = self.connect(), 0
        while not self.load.stopping.is_set():
            number += 1
            try:
                client.set(f"{self.name}:{number}", number)
                self.acked.append((number, time.monotonic()))
                client.set(f"{self.name}:last", number)
            except redis_py.RedisError as error:
                self.errors.append((time.monotonic(), str(error)))
            time.sleep(0.002)


class _Reader(threading.Thread):
    """Reads what the writers share, so that it is in L1 all the time."""

    def __init__(self, load, keys, connect):
        super().__init__(daemon=True)
        self.load, self.keys, self.connect = load, keys, connect
        self.reads, self.errors = 0, []

    def run(self):
        client = self.connect()
        while not self.load.stopping.is_set():
            for key in self.keys:
                try:
                    client.get(key)
                    self.reads += 1
                except redis_py.RedisError as error:
                    self.errors.append((time.monotonic(), str(error)))
                    time.sleep(0.01)
            time.sleep(0.001)


class Load:
    """An unmodified client (redis-py) at work through the daemon, and one beside it straight to the
    primary of the beginning, which shows what Redis itself loses."""

    def __init__(self, daemon, replica_set, writers=2, readers=2):
        self.replica_set = replica_set
        self.stopping = threading.Event()

        def through():
            return redis_py.Redis(port=daemon.port, socket_timeout=5, retry_on_timeout=False)

        def straight():
            return redis_py.Redis(port=replica_set.nodes[0].port, socket_timeout=1)
        self.fixed = [f"fixed:{i}" for i in range(50)]
        client = through()
        for key in self.fixed:
            client.set(key, "before")
            client.get(key)
        self.writers = [_Writer(self, f"w{i}", through) for i in range(writers)]
        self.beside = _Writer(self, "direct", straight)
        keys = self.fixed + [f"{w.name}:last" for w in self.writers]
        self.readers = [_Reader(self, keys, through) for _ in range(readers)]
        for thread in [*self.writers, *self.readers, self.beside]:
            thread.start()
        eventually(lambda: all(len(w.acked) > 50 for w in self.writers), "load is under way")

    def served_since(self, moment):
        """Every writer has been served again for a while."""
        return all(sum(at > moment for _, at in w.acked) > 50 for w in self.writers)

    def stop(self):
        self.stopping.set()
        for thread in [*self.writers, *self.readers, self.beside]:
            thread.join(10)

    def outage(self, since):
        """The longest time without a single acknowledged write, from `since` on."""
        times = sorted(at for w in self.writers for _, at in w.acked if at >= since - 0.5)
        return max((b - a for a, b in zip(times, times[1:])), default=float("inf"))

    @staticmethod
    def _missing(writer, node):
        with node.connect() as conn:
            there = conn.pipeline(*[("EXISTS", f"{writer.name}:{n}") for n, _ in writer.acked])
        return [at for (_, at), found in zip(writer.acked, there) if not found]

    def report(self, what, since, node, daemon):
        """What it cost, as one line of the table; and what must not have happened, as numbers."""
        lost = [at for w in self.writers for at in self._missing(w, node)]
        lost_beside = self._missing(self.beside, node)
        outage = self.outage(since)
        errors = sum(len(w.errors) for w in self.writers) + sum(len(r.errors) for r in self.readers)
        requests = (sum(2 * len(w.acked) for w in self.writers) + sum(r.reads for r in self.readers)
                    + errors)
        keys = self.fixed + [f"{w.name}:last" for w in self.writers]
        with daemon.connect() as through, node.connect() as straight:
            stale = sum(a != b for a, b in zip(through.pipeline(*[("GET", k) for k in keys]),
                                               straight.pipeline(*[("GET", k) for k in keys])))
        row = (f"{what}: {outage:.2f} s without service, {errors} errors of {requests} requests, "
               f"acknowledged writes lost {len(lost)} of {sum(len(w.acked) for w in self.writers)} "
               f"(straight to Redis {len(lost_beside)} of {len(self.beside.acked)}), stale {stale}")
        return row, lost, stale
