"""Calls of every command the server has, made from what the server says about itself.

COMMAND DOCS gives each command's arguments as a small grammar; here it is filled in with values that
fit (keys of every type, numbers, ids), with values that do not, and with arguments left out or added.
The choice is random but seeded by the command's name: the same calls every time, and a new command of
a newer server is walked without anybody writing anything down.
"""

import random

from .resp import Conn, encode

# The state every group of calls starts from: a key of each type, and of each type an odd one.
SEEDS = [
    ("SET", "str", "hello world"), ("SET", "int", "10"), ("SET", "empty", ""),
    ("SET", "bin", b"\x00\xff\r\n*1\r\n"), ("SET", "ttl", "x", "EX", "100000"),
    ("SET", "long", "0123456789" * 50), ("SET", b"key\x00\r\n", "odd name"),
    ("RPUSH", "list", "a", "b", "c", "10"), ("RPUSH", "list2", "3", "1", "2"),
    ("HSET", "hash", "f", "v", "n", "5"), ("SADD", "set", "1", "2", "3"), ("SADD", "set2", "2", "9"),
    ("ZADD", "zset", "1", "a", "2", "b", "3.5", "c"), ("ZADD", "zset2", "5", "b"),
    ("XADD", "stream", "1-1", "f", "v"), ("XADD", "stream", "2-1", "f", "w"),
    ("XGROUP", "CREATE", "stream", "group", "0"), ("PFADD", "hll", "a", "b"),
    ("GEOADD", "geo", "13.361389", "38.115556", "Palermo", "15.087269", "37.502669", "Catania"),
    ("SETBIT", "bits", "7", "1"),
]

_KEYS = ["str", "int", "empty", "bin", "ttl", "long", "list", "list2", "hash", "set", "set2", "zset",
         "zset2", "stream", "hll", "geo", "bits", "missing", b"key\x00\r\n", ""]
_OF_GROUP = {
    "string": ["str", "int", "long", "empty"], "list": ["list", "list2"], "hash": ["hash"],
    "set": ["set", "set2"], "sorted-set": ["zset", "zset2"], "stream": ["stream"],
    "hyperloglog": ["hll"], "geo": ["geo"], "bitmap": ["bits", "str"],
}
_ODD = ["", "-1", "0", "abc", "1.5", "nan", "inf", "-inf", "9223372036854775808", "1e400", "(1", "[a",
        b"\xff\x00", "*", "$", ">", "x" * 600, "1-1", "NX", "COUNT", "\r\n", "~", "0x10"]
# Words that arguments of some names want; everything else follows from the type.
_NAMED = {
    "id": ["1-1", "0", "0-0", "$", "9-9"], "start": ["0", "-", "1"], "end": ["-1", "+", "2"],
    "stop": ["-1", "1"], "min": ["-inf", "(1", "-", "[a"], "max": ["+inf", "3", "+", "[c"],
    "group": ["group", "nogroup"], "groupname": ["group"], "consumer": ["alice"],
    "member": ["a", "1", "Palermo", "nobody"], "member1": ["a", "Palermo"],
    "member2": ["b", "Catania"], "field": ["f", "n", "none"], "cursor": ["0"],
    "longitude": ["15"], "latitude": ["37"], "radius": ["200"], "width": ["400"], "height": ["400"],
    "script": ["return 1", "return redis.call('get', KEYS[1])", "return {1, 'two', {3}}", "return ("],
    "sha1": ["e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "f" * 40], "encoding": ["u8", "i5"],
    "operation": ["AND", "OR", "NOT"], "bit": ["1", "0"], "offset": ["0", "7"], "index": ["0", "1"],
    "db": ["0", "9"], "destination-db": ["0", "9"], "parameter": ["maxmemory", "hash-*"],
    "serialized-value": [b"\x00\x01a\x0a\x00"], "host": ["127.0.0.1"], "port": ["1"],
    "threshold": ["1000000000000-0", "1"], "section": ["commandstats"], "category": ["read"],
    "numreplicas": ["0"], "username": ["default", "nobody"], "function": ["walked"], "function-name": ["walked"],
    "library-name": ["walk*"], "subkey": ["0"], "value": ["v", "7"], "increment": ["1", "2"],
    "event": ["command"], "command": ["GET", "SET"], "command-name": ["get", "nosuch", "config|get"],
    # A time that ends in the course of a walk would make what comes after it a matter of the clock.
    "seconds": ["1000", "2000"], "milliseconds": ["1000000", "2000000"], "ttl": ["0", "1000000"],
    "min-idle-time": ["0", "1000000"],
}


class _Filler:
    """Fills one command's grammar in."""

    def __init__(self, rng, group):
        self._rng = rng
        self._keys = _OF_GROUP.get(group, [])

    def _value(self, arg):
        name, kind = arg["name"], arg["type"]
        if kind == "key":
            right = self._keys and self._rng.random() < 0.7
            return self._rng.choice(self._keys if right else _KEYS)
        if name == "milliseconds" and arg.get("token") == "BLOCK":
            return "10"
        if name in _NAMED:
            return self._rng.choice(_NAMED[name])
        if name == "timeout":
            return "0.01" if kind == "double" else "10"
        if kind == "integer":
            return self._rng.choice(["1", "2", "10", "100"])
        if kind == "double":
            return self._rng.choice(["1", "2.5", "-3"])
        if kind == "unix-time":
            return self._rng.choice(["33000000000", "33000000000000"])
        if kind == "pattern":
            return self._rng.choice(["*", "s*", "z?et"])
        return self._rng.choice(["a", "b", "v", "f"])

    def fill(self, arguments):
        out = []
        for arg in arguments:
            flags = arg.get("flags", ())
            if "optional" in flags and self._rng.random() < 0.6:
                continue
            times = self._rng.choice([1, 1, 2, 3]) if "multiple" in flags else 1
            token = arg.get("token")
            for turn in range(times):
                if token is not None and arg["type"] != "pure-token" and (
                        turn == 0 or "multiple_token" in flags):
                    out.append(token)
                out += self._once(arg)
        return out

    def _once(self, arg):
        if arg["type"] == "oneof":
            return self.fill([{**self._rng.choice(arg["arguments"])}])
        if arg["type"] == "block":
            return self.fill(arg["arguments"])
        if arg["type"] == "pure-token":
            return [arg["token"]]
        return [self._value(arg)]


def _numkeys_right(words, arguments):
    """Where the grammar says numkeys, key …, the number mostly has to be true to get anywhere."""
    names = [arg["name"] for arg in arguments]
    if "numkeys" in names:
        at = sum(1 for arg in arguments[:names.index("numkeys")] if "optional" not in arg.get("flags", ()))
        if at < len(words):
            words[at] = "1" if at + 1 < len(words) else "0"
    return words


def _plain(docs):
    """COMMAND DOCS as dictionaries, from either protocol, with text for keys and words."""
    if isinstance(docs, bytes):
        return docs.decode("latin-1")
    if isinstance(docs, dict):
        return {_plain(key): _plain(value) for key, value in docs.items()}
    if isinstance(docs, (list, tuple)):
        return [_plain(item) for item in docs]
    return docs


def commands_of(redis):
    """{full name: docs} of every command and subcommand the server has, in order of names."""
    with Conn(redis.port, proto=3) as conn:
        found = {}
        for name, docs in _plain(conn.cmd("COMMAND", "DOCS")).items():
            found[name] = docs
            found.update(docs.get("subcommands", {}))
    return dict(sorted(found.items()))


def calls_of(name, docs, count):
    """About `count` calls of the command, each a list of words, the same ones every time."""
    rng = random.Random(name)
    head = name.upper().split("|")
    calls = [head, head + ["str"], head + ["x"] * 12]
    arguments = docs.get("arguments", [])
    filler = _Filler(rng, docs.get("group", ""))
    for turn in range(count if arguments else 1):
        words = _numkeys_right(filler.fill(arguments), arguments)
        calls.append(head + words)
        if words and turn % 3 == 1:
            odd = list(words)
            odd[rng.randrange(len(odd))] = rng.choice(_ODD)
            calls.append(head + odd)
        elif words and turn % 3 == 2:
            calls.append(head + words[:-1])
            calls.append(head + words + ["extra"])
    if "|" not in name and docs.get("subcommands"):
        calls += [head + ["nosuchsubcommand"], head + ["HELP"], head + [""]]
    return [call for call in calls if not _waits_for_ever(call)]


def _waits_for_ever(call):
    """Whether a timeout in it is zero, which to Redis is none."""
    head = call[0].upper()
    if head in ("BLPOP", "BRPOP", "BRPOPLPUSH", "BLMOVE", "BZPOPMIN", "BZPOPMAX", "WAIT", "WAITAOF"):
        return _zero(call[-1])
    if head in ("BLMPOP", "BZMPOP"):
        return len(call) > 1 and _zero(call[1])
    words = [word.upper() for word in call]
    return "BLOCK" in words[:-1] and _zero(words[words.index("BLOCK") + 1])


def _zero(word):
    try:
        return float(word) == 0
    except ValueError:
        return False


def encode_latin(call):
    """A call as a request; text in it is bytes of Latin-1."""
    return encode(*(word if isinstance(word, bytes) else word.encode("latin-1") for word in call))


class Walker:
    """A connection that makes calls and keeps apart what each was answered."""

    def __init__(self, conn):
        self._conn = conn
        self._marks = 0

    def single(self, call):
        """All bytes that came for the call, sent alone."""
        self._conn.send(encode_latin(call))
        first = self._conn.read_frame()[1]
        mark = self._mark()
        self._conn.send(encode("PING", mark))
        return first + self._until(mark)

    def pipeline(self, calls):
        """The same for each of the calls, sent in one write."""
        marks = [self._mark() for _ in calls]
        self._conn.send(b"".join(encode_latin(call) + encode("PING", mark)
                                 for call, mark in zip(calls, marks)))
        return [self._until(mark) for mark in marks]

    def _mark(self):
        self._marks += 1
        return b"mark-%d" % self._marks

    def _until(self, mark):
        """Everything, pushes too, up to the answer to the PING that carried `mark`; a RESP2
        subscriber is answered with an array."""
        got = b""
        while True:
            value, raw = self._conn.read_frame()
            if value == mark or (isinstance(value, list) and value[-1:] == [mark]):
                return got
            got += raw
