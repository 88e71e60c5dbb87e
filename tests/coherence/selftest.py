"""Who judges the judge: each breach is shown to it once, and once what is just no breach."""

from .history import Judge, Key, Read

_BOUND, _TTL = 1.0, 10.0


def _written(key, times, via, acked=True):
    """Writes through `via`, each sent at one of `times` and acknowledged 0.1 s later."""
    for at in times:
        version = key.begin(at)
        if acked:
            key.acknowledge(version, at + 0.1, via)


def _verdict(key, version, sent, via="left", seen=None, behind=0, value=None):
    """The breach that a read is, or None."""
    judge = Judge(_BOUND, _TTL)
    read = Read.of(key, via, sent, {} if seen is None else seen, behind)
    judge.judge(read, key.value(version, 0) if value is None and version is not None else value, sent + 0.01)
    return next((kind for kind, count in judge.breaches.items() if count), None)


def _string(only=None):
    return Key("string", 1, 0, only)


def _cases():
    key = _string()
    _written(key, (1.0, 2.0), "left")
    yield "own", _verdict(key, 1, sent=2.2)
    yield None, _verdict(key, 1, sent=2.2, via="right")
    yield "own", _verdict(key, None, sent=2.2)
    yield "connection", _verdict(key, 1, sent=2.2, via="right", seen={key: 2})
    yield "stale", _verdict(key, 1, sent=3.2, via="right")
    yield "wrong", _verdict(key, None, sent=2.2, value=b"string:2.0:2:0")
    yield "wrong", _verdict(key, 3, sent=2.2)
    key.begin(2.15)
    yield None, _verdict(key, 2, sent=2.2)
    yield "own", _verdict(key, 2, sent=2.2, behind=3)

    key = _string()
    _written(key, (1.0, 2.0), "left")
    seen = {}
    key.begin(3.0, nil=True)
    key.versions[3].unannounced = ("right",)
    yield None, _verdict(key, None, sent=3.1, via="right", seen=seen)
    yield None, _verdict(key, 2, sent=3.2, via="right", seen=seen)
    key.versions[3].unannounced = ()
    yield None, _verdict(key, None, sent=3.1, via="right", seen=seen)
    yield "connection", _verdict(key, 2, sent=3.2, via="right", seen=seen)

    key = _string()
    _written(key, (1.0, 2.0), "left")
    key.versions[2].unannounced = ("right",)
    yield None, _verdict(key, 1, sent=3.2, via="right")
    yield "stale", _verdict(key, 1, sent=12.2, via="right")

    key = _string()
    _written(key, (1.0,), "left")
    key.begin(2.0, nil=True)
    key.versions[2].unannounced = ("right",)
    key.acknowledge(2, 2.1, "left")
    key.acknowledge(key.begin(3.0, nil=True), 3.1, "left")
    yield None, _verdict(key, 1, sent=4.5, via="right")
    yield "own", _verdict(key, 1, sent=4.5)
    yield "stale", _verdict(key, 1, sent=12.2, via="right")
    _written(key, (5.0,), "left")
    yield "stale", _verdict(key, 1, sent=6.5, via="right")

    key = _string(only="left")
    _written(key, (1.0,), "left")
    key.begin(2.0)
    key.shown["left"] = 2
    yield "order", _verdict(key, 1, sent=2.05)

    key = _string()
    _written(key, (1.0,), "right")
    key.ends_between(2.0, 2.1)
    yield None, _verdict(key, 1, sent=2.12)
    yield "life", _verdict(key, 1, sent=2.3)
    yield None, _verdict(key, None, sent=2.3)
    yield "own", _verdict(key, None, sent=1.5, via="right")
    key.versions[2].told, key.versions[2].told_to = 1.9, "right"
    yield None, _verdict(key, 1, sent=2.3)
    yield "life", _verdict(key, 1, sent=2.3, via="right")
    yield "life", _verdict(key, 1, sent=2.97)
    key.begin(2.05)
    yield None, _verdict(key, 1, sent=2.3)

    key = Key("counter", 1, 0, None)
    _written(key, (1.0, 2.0), "left")
    yield "own", _verdict(key, None, sent=2.2, value=b"1")
    yield None, _verdict(key, None, sent=2.2, value=b"2")
    yield "wrong", _verdict(key, None, sent=2.2, value=b"3")


def check_the_judge():
    """Raises AssertionError where the judge sees what is not there, or does not see what is."""
    for number, (expected, got) in enumerate(_cases()):
        if expected != got:
            raise AssertionError(f"the judge's case {number}: it says {got}, not {expected}")
