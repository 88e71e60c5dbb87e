"""What a run runs against: the modes, and the servers, relays and sidecars of one of them."""

import asyncio
import dataclasses
import time

from harness.env import merged
from harness.processes import free_port
from harness.replication import ReplicaSet, Sentinels
from harness.wait import SCALE, TimedOut, eventually

from .load import DIRECT
from .relay import Relay

SIDECARS = ("left", "right")
_HEALTH_INTERVAL, _HEALTH_MISSES = 0.25, 3
# A link is asked for a sign of life after 1 to 1.5 intervals of silence, given up when the answer
# is `health_misses` intervals late, and looked at once in an interval (Link::CheckHealth).
SILENCE = (_HEALTH_MISSES + 2.5) * _HEALTH_INTERVAL
_SCHEDULING = 0.35 * SCALE  # of four processes that share a machine with others
# Long enough that a busy machine is not taken for a dead primary: a replacement that nobody planned
# loses writes that were acknowledged.
_SENTINEL_PATIENCE_MS = 3000
COMMON = {"upstream": {"health_interval": f"{int(_HEALTH_INTERVAL * 1000)}ms",
                       "health_misses": _HEALTH_MISSES, "command_timeout": "2s"},
          "l1": {"commands": ["all"]}}
_PUSH_BOUND = SILENCE + _SCHEDULING


@dataclasses.dataclass(frozen=True)
class Mode:
    """`bound` is the longest staleness in seconds, `ttl` that of the cache."""
    name: str
    what: str
    config: dict
    bound: float = _PUSH_BOUND
    ttl: float = 60.0
    redis_args: tuple = ()
    topology: str = "single"
    pushes: bool = True


_TTL_ONLY_TTL = 3.0
MODES = {mode.name: mode for mode in (
    Mode("tracking", "the server pushes, on the fill links", {}),
    Mode("redirect", "the server pushes, on a link of its own that fill links redirect to",
         {"tracking": {"method": "redirect"}}),
    Mode("bcast", "the server pushes every write, after replies that show it",
         {"tracking": {"method": "bcast"}}),
    Mode("overflow", "as tracking, and the server's table holds 40 keys", {},
         redis_args=("--tracking-table-max-keys", "40")),
    Mode("ttl-only", "nobody pushes",
         {"tracking": {"mode": "off"}, "rules": [{"prefix": "", "ttl": f"{int(_TTL_ONLY_TTL)}s",
                                                  "negative_ttl": f"{int(_TTL_ONLY_TTL)}s"}]},
         bound=_TTL_ONLY_TTL + _SCHEDULING, ttl=_TTL_ONLY_TTL + _SCHEDULING, pushes=False),
    Mode("replicated", "a list of nodes whose primary is killed and replaced", {}, topology="list"),
    Mode("sentinel", "sentinels replace a primary that is killed", {}, topology="sentinel"),
    # Nobody pushes that a key which is remembered as absent has come into being where its slot went
    # (ARCHITECTURE.md 4): here absence is not remembered.
    Mode("cluster", "slots move, and primaries are killed and replaced",
         {"l1": {"negative_ttl": "0s"}}, topology="cluster"),
)}


class Stand:
    """Servers and sidecars. `primary` is the node that is one now.

    Processes are started on the main thread only: the harness has the kernel kill them with the
    thread that started them, and threads of a pool end before the run does.
    """

    def __init__(self, env, mode):
        self.env, self.mode = env, mode
        self.relays = {via: [] for via in SIDECARS}  # of each sidecar, one to each node
        self.daemons = {}
        self.nodes = self.sentinels = self.primary = None

    async def start(self):
        self._start_servers()
        for via in SIDECARS:
            url = await self._way(via)
            config = merged(merged(COMMON, self.mode.config), {"upstream": {"url": url}})
            self.daemons[via] = self.env.daemon(self.primary, config)
        for daemon in self.daemons.values():
            await asyncio.to_thread(daemon.wait_ready)
        return self

    def _start_servers(self):
        if self.mode.topology == "single":
            self.nodes = [self.env.redis(*self.mode.redis_args)]
        else:
            replica_set = ReplicaSet(self.env, replicas=1)
            self.nodes = replica_set.nodes
            if self.mode.topology == "sentinel":
                self.sentinels = Sentinels(self.env, replica_set, down_after_ms=_SENTINEL_PATIENCE_MS)
            self.replica_set = replica_set
        self.primary = self.nodes[0]

    async def _way(self, via):
        """The URL by which a sidecar reaches the nodes: through relays, except where sentinels say
        the addresses."""
        if self.sentinels:
            return self.sentinels.url
        for node in self.nodes:
            self.relays[via].append(await Relay(free_port(), node.port).start())
        return "redis://" + ",".join(f"127.0.0.1:{relay.port}" for relay in self.relays[via])

    def port_of(self, via):
        return self.primary.port if via == DIRECT else self.daemons[via].port

    async def fail_over(self):
        """Kills the primary; the other node takes over, and the old one comes back behind it. The
        caller has made sure that both have the same and that nobody writes."""
        old, new = self.primary, next(node for node in self.nodes if node is not self.primary)
        old.kill()
        if self.sentinels:
            await asyncio.to_thread(
                eventually, lambda: self.replica_set.primary() is new, "sentinels choose", timeout=40)
        else:
            new.cmd("REPLICAOF", "NO", "ONE")
        self.primary = new
        kept = old.args[:old.args.index("--replicaof")] if "--replicaof" in old.args else old.args
        old.args = [*kept, "--replicaof", f"127.0.0.1 {new.port}"]
        old.start()

    def as_planned(self):
        """Whether the primary is the one that this run made one, once all sentinels have heard of it.
        Blocking."""
        def agreed():
            return all(int(sentinel.master_fields()["port"]) == self.primary.port
                       for sentinel in self.sentinels.all)
        try:
            return not self.sentinels or eventually(agreed, "sentinels agree with the run", timeout=10)
        except TimedOut:
            return False

    def primaries(self):
        """The nodes that are primaries now."""
        return [self.primary]

    @property
    def switches_by_itself(self):
        """Whether somebody replaces a primary that is silent for long, and writes would be lost."""
        return self.sentinels is not None

    def in_step(self):
        """Whether the replica has all there is; nothing is written meanwhile. Blocking."""
        try:
            eventually(lambda: self.primary.info("connected_slaves") == "1", "a replica", timeout=5)
            with self.primary.connect() as conn:
                conn.cmd("SET", "in-step", time.monotonic())
                return conn.cmd("WAIT", 1, 3000) == 1
        except AssertionError:
            return False

    def hits(self):
        return sum(daemon.metrics().total("nearcached_l1_hits_total") for daemon in self.daemons.values())

    def close(self):
        for relays in self.relays.values():
            for relay in relays:
                relay.close()
