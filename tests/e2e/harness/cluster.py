"""A real Redis Cluster on loopback: primaries, replicas, live migration, failover."""

import time

from .processes import RedisServer, free_port
from .resp import Conn, RespError
from .wait import SCALE, eventually

SLOTS = 16384
_MIGRATE_TIMEOUT = 15.0  # s for the keys of a slot to move, errors and all


def slot_of(key):
    """CRC16/XMODEM of the hash tag, written down a second time, in another language."""
    data = key.encode() if isinstance(key, str) else key
    start = data.find(b"{")
    if start >= 0:
        end = data.find(b"}", start + 1)
        if end > start + 1:
            data = data[start + 1:end]
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021) if crc & 0x8000 else crc << 1
            crc &= 0xFFFF
    return crc % SLOTS


class ClusterNode(RedisServer):
    def __init__(self, folder, name, node_timeout_ms, certificates):
        super().__init__(folder, name)
        self.tls_port = None
        self.args = ["--cluster-enabled", "yes", "--cluster-config-file", f"{name}.nodes",
                     "--cluster-port", str(free_port()),
                     "--cluster-node-timeout", str(node_timeout_ms),
                     "--cluster-replica-validity-factor", "0",
                     "--cluster-allow-replica-migration", "no",
                     "--repl-diskless-sync-delay", "0"]
        self.bus = int(self.args[5])
        if certificates is not None:
            # The nodes talk TLS with each other too: only then do they name their ports for it.
            self.tls_port = free_port()
            self.args += ["--tls-port", str(self.tls_port), "--tls-cluster", "yes",
                          "--tls-replication", "yes", "--tls-auth-clients", "no",
                          "--tls-cert-file", certificates.path("server"),
                          "--tls-key-file", certificates.key("server"),
                          "--tls-ca-cert-file", certificates.path("ca")]

    @property
    def id(self):
        return self.cmd("CLUSTER", "MYID").decode()

    def role(self):
        return self.cmd("ROLE")[0].decode()


class RedisCluster:
    """`primaries` nodes with even shares of the slots, and as many replicas behind each."""

    def __init__(self, folder, primaries=3, replicas=1, node_timeout_ms=1000, certificates=None):
        self.nodes = [ClusterNode(folder, f"node{i}", node_timeout_ms, certificates)
                      for i in range(primaries * (1 + replicas))]
        self.primary_count = primaries

    @property
    def url(self):
        """With TLS where the nodes speak it."""
        scheme = "redis-cluster" if self.nodes[0].tls_port is None else "rediss-cluster"
        return f"{scheme}://" + ",".join(f"127.0.0.1:{n.tls_port or n.port}"
                                         for n in self.nodes[:2])

    def start(self):
        for node in self.nodes:
            node.start()
        count = self.primary_count
        first = self.nodes[0]
        for i, node in enumerate(self.nodes):
            if i < count:
                node.cmd("CLUSTER", "ADDSLOTSRANGE", SLOTS * i // count, SLOTS * (i + 1) // count - 1)
            if node is not first:
                node.cmd("CLUSTER", "MEET", "127.0.0.1", first.port, first.bus)
        eventually(lambda: all(self._knows(n) >= len(self.nodes) for n in self.nodes),
                   "the nodes know each other", timeout=30)
        for i, node in enumerate(self.nodes[count:]):
            master = self.nodes[i % count].id
            eventually(lambda n=node, m=master: n.cmd("CLUSTER", "REPLICATE", m) == b"OK",
                       "a replica follows", timeout=20)
        eventually(lambda: all(b"cluster_state:ok" in n.cmd("CLUSTER", "INFO")
                               for n in self.nodes), "the cluster is up", timeout=30)
        eventually(lambda: all(n.info("master_link_status") == "up" for n in self.nodes[count:]),
                   "replicas are in step", timeout=30)
        return self

    def _knows(self, node):
        return sum(b"handshake" not in line
                   for line in node.cmd("CLUSTER", "NODES").splitlines() if line)

    @staticmethod
    def slots_of(node, said_by):
        """[(first, last)]: what `said_by` takes for the slots of `node`."""
        node_id = node.id
        line = next(line for line in said_by.cmd("CLUSTER", "NODES").decode().splitlines()
                    if line.startswith(node_id))
        spans = [part.partition("-") for part in line.split()[8:] if not part.startswith("[")]
        return [(int(low), int(high or low)) for low, _, high in spans]

    def owner(self, key_or_slot):
        """The node that says that the slot is its own."""
        slot = key_or_slot if isinstance(key_or_slot, int) else slot_of(key_or_slot)
        for node in self.nodes:
            if node.alive() and any(low <= slot <= high for low, high in self.slots_of(node, node)):
                return node
        return None

    def cmd(self, *args):
        """Where the first key belongs, following MOVED as a cluster client does."""
        port = self.nodes[0].port
        for node in self.nodes:
            if node.alive():
                port = node.port
                break
        for _ in range(8):
            with Conn(port) as conn:
                reply = conn.cmd(*args)
            if isinstance(reply, RespError) and reply.text.startswith("MOVED "):
                port = int(reply.text.rpartition(":")[2])
                continue
            return reply
        raise AssertionError(f"{args} is moved round in circles")

    def calls(self, *commands):
        return sum(node.calls(*commands) for node in self.nodes if node.alive())

    def migrate(self, slot, source, target, keys_at_once=10, pause=0.0):
        """Moves a slot under load as redis-cli --cluster reshard does."""
        target.cmd("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.cmd("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
        with source.connect() as conn:
            give_up = time.monotonic() + _MIGRATE_TIMEOUT * SCALE
            while keys := conn.cmd("CLUSTER", "GETKEYSINSLOT", slot, keys_at_once):
                reply = conn.cmd("MIGRATE", "127.0.0.1", target.tls_port or target.port, "", 0, 5000, "KEYS", *keys)
                if isinstance(reply, RespError) and time.monotonic() > give_up:
                    raise AssertionError(f"slot {slot} does not move from {source.port} to {target.port}: {reply.text}")
                time.sleep(pause)
        target_id = target.id
        for node in [target, source] + [n for n in self.nodes if n not in (source, target)]:
            if node.alive() and (node in (source, target) or node.role() == "master"):
                node.cmd("CLUSTER", "SETSLOT", slot, "NODE", target_id)
