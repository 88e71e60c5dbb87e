"""What happened to each key, and whether a read fits it.

A key's life is a line of versions, in the order in which the server had them. The order is known
because of who may write:

- a *register* (string, hash or list) has one writer, which sends a write only when the one before is
  answered. Its value is `name:version:writer`. A key that is not there is a version too, made by
  DEL, a flush, or the end of a PX, whose time lies in the future when it is written down;
- a *counter* is written by anybody at any time with INCR: the server itself numbers the versions.

A write whose outcome is not known (an error, a lost connection) may be executed at any later time,
so nothing is ever written behind it: the key is retired and its successor has another name.

For each read the judge asks, with `sent` the moment before the request left and floors taken then:

- own: is it older than a write that some client of the same sidecar has seen acknowledged (G1), or
  that was sent before it on the same connection (G2)?
- connection: than what the same connection has read before (G2)?
- order: than what a read that had ended has shown to any client of the sidecar, where all writes and
  reads of the key go through it? With `own` and `wrong` this is all that linearizability asks of a
  register with one writer: no read from the future, none from before an acknowledged write, none
  from before a finished read.
- life: is it past the end that its PX gave it (G4)?
- stale: has it been outdated by a write elsewhere for longer than the mode's bound (G3)?
- wrong: was it never written, or not under this key, or not yet?
"""

import dataclasses

LIFE_SLACK = 0.05    # s: Redis and the sidecar count milliseconds, and are scheduled like all others
_LOOK_AHEAD = 8      # versions behind the one read; acknowledgements come in nearly their order


@dataclasses.dataclass(slots=True)
class Version:
    invoked: float           # the server may have it from then on
    acked: float = None      # the server has it from then on at the latest; None: not known
    nil: bool = False        # the key is not there
    end_of_life: bool = False
    told: float = 0.0        # of an end of life: when it was acknowledged, if not with the value
    told_to: str = None      # and through what
    unannounced: tuple = ()  # sidecars that no push tells about it (SWAPDB); their bound is the TTL
    elsewhere: bool = False  # not made through the sidecar that all else of the key goes through


class Key:
    """One name and its versions. `only` is the sidecar that all its traffic goes through, or None."""

    def __init__(self, kind, index, generation, only):
        self.kind = kind  # see kinds.py
        self.index = index
        self.generation = generation
        self.only = only
        self.name = f"{kind}:{index}.{generation}"
        self.versions = [Version(0.0, 0.0, nil=True)]
        self.unknown = False  # a write is out whose end nobody knows
        self.dead = False     # the line of versions has ended; reads are not judged any more
        self.own = {}         # sidecar -> newest version acknowledged through it
        self.shown = {}       # sidecar -> newest version a finished read has shown

    def successor(self):
        return Key(self.kind, self.index, self.generation + 1, self.only)

    @property
    def newest(self):
        return len(self.versions) - 1

    def begin(self, now, nil=False):
        """A write is about to be sent. Its version."""
        last = self.versions[-1]
        if last.end_of_life and last.acked is not None and now < last.acked:
            last.acked = None  # what is written now may have come before that end
        # A DEL that finds nothing changes nothing, so no push tells of it either.
        unannounced = last.unannounced if nil and last.nil else ()
        self.versions.append(Version(now, nil=nil, unannounced=unannounced))
        return self.newest

    def ends_between(self, earliest, latest):
        """The newest version has been given an end of life."""
        self.versions.append(Version(earliest, latest, nil=True, end_of_life=True))

    def acknowledge(self, version, now, via):
        if version >= len(self.versions):
            return  # more INCRs were executed than sent; the reads will show it
        if self.versions[version].acked is None:
            self.versions[version].acked = now
        self.raise_own(version, via)

    def raise_own(self, version, via):
        self.own[via] = max(self.own.get(via, 0), version)

    def value(self, version, writer):
        return f"{self.name}:{version}:{writer}".encode()

    def version_of(self, value):
        """The version that carries `value` (not nil), or None when there is none."""
        if self.kind == "counter":
            version = int(value) if value.isdigit() else -1
        else:
            name, _, rest = value.rpartition(b":")[0].rpartition(b":")
            version = int(rest) if name == self.name.encode() and rest.isdigit() else -1
        return version if 0 < version <= self.newest and not self.versions[version].nil else None


@dataclasses.dataclass(slots=True)
class Read:
    """One key of one read: made when it is sent, judged when its value is here."""
    key: Key
    via: str
    sent: float
    own: int    # floors at that moment
    shown: int
    seen: dict  # the connection's: Key -> version

    @classmethod
    def of(cls, key, via, sent, seen, behind=0):
        """`behind` is a write of the same connection that was sent before it."""
        return cls(key, via, sent, max(key.own.get(via, 0), behind), key.shown.get(via, 0), seen)


class Judge:
    """Counts breaches and staleness of one run. `bound` and `ttl` in seconds."""

    KINDS = ("own", "connection", "order", "life", "stale", "wrong")

    def __init__(self, bound, ttl, pushes=True):
        self.bound, self.ttl, self.pushes = bound, ttl, pushes
        self.reads = 0
        self.breaches = {kind: 0 for kind in self.KINDS}
        self.examples = []
        self.delays = []  # s, one for each read that showed an older value than was acknowledged

    def judge(self, read, value, now):
        key = read.key
        if key.dead:
            return
        self.reads += 1
        seen = read.seen.get(key, 0)
        floors = {"own": read.own, "connection": seen}
        if key.only == read.via:
            floors["order"] = read.shown
        low, high = self._possible(key, value, max(floors.values()), now)
        if high is None:
            return self._breach("wrong", read, value, now, "never written")
        broken = next((kind for kind, floor in floors.items() if high < floor), None)
        if broken:
            self._breach(broken, read, value, now, f"version {high}, floors {floors}")
        else:
            self._judge_age(read, value, now, high)
        self._raise_floors(read, low, high)

    @staticmethod
    def _raise_floors(read, low, high):
        """What was read is what later reads must not fall behind, with two exceptions. After a change
        that is not announced, what is kept of a key for one command may be older than for another.
        And what was made elsewhere others may still hit as it was, until the push."""
        key, via = read.key, read.via
        shown = key.versions[low:high + 1]
        if not any(via in version.unannounced for version in shown):
            read.seen[key] = max(read.seen.get(key, 0), low)
        if key.only == via and not any(version.elsewhere for version in shown):
            key.shown[via] = max(key.shown.get(via, 0), low)

    @staticmethod
    def _possible(key, value, floor, now):
        """(lowest, highest) version that the value may be. Only "not there" may be several: the
        lowest is then the first that no floor forbids, so that nothing is held against a later read
        which this one did not prove."""
        if value is not None:
            version = key.version_of(value)
            return version, version
        high = next(v for v in range(key.newest, -1, -1)
                    if key.versions[v].nil and key.versions[v].invoked <= now)
        low = next((v for v in range(floor, high + 1)
                    if key.versions[v].nil and key.versions[v].invoked <= now), high)
        return low, high

    def _judge_age(self, read, value, now, version):
        later = read.key.versions[version + 1:version + 1 + _LOOK_AHEAD]
        known = [v for v in later if v.acked is not None and v.acked < read.sent]
        announced = [v.acked for v in known if read.via not in v.unannounced]
        if announced:
            delay = read.sent - min(announced)
            self.delays.append(delay)
            if delay > self.bound:
                return self._breach("stale", read, value, now, f"{delay:.3f} s, bound {self.bound:.3f} s")
        if known and read.sent - min(v.acked for v in known) > self.ttl:
            return self._breach("stale", read, value, now, f"older than the longest TTL, {self.ttl:.3f} s")
        # Without pushes a value and its TTL are not read at one instant (ARCHITECTURE.md, known
        # limits), and the TTL of L1 bounds the matter, which was judged above.
        if self.pushes and later and later[0].end_of_life and later[0] in known:
            over = read.sent - self._due(later[0], read.via)
            if over > LIFE_SLACK:
                self._breach("life", read, value, now, f"{over:.3f} s past its end")
        return None

    def _due(self, end, via):
        """When a sidecar has to know that the life is over: the end that a value was born with is known
        wherever the value is; one that was given to it later, elsewhere, is news like any other."""
        return end.acked if end.told_to in (None, via) else max(end.acked, end.told + self.bound)

    def _breach(self, kind, read, value, now, why):
        self.breaches[kind] += 1
        if len(self.examples) < 20:
            history = [(number, "nil" if v.nil else "value", round(v.invoked - read.sent, 4),
                        None if v.acked is None else round(v.acked - read.sent, 4))
                       for number, v in enumerate(read.key.versions)][-8:]
            self.examples.append(
                f"{kind}: {read.key.name} through {read.via} showed {value}: {why}; sent "
                f"{read.sent:.3f}, answered {now - read.sent:.4f} s later; versions (number, what, "
                f"invoked, acknowledged; s after the read was sent): {history}")
