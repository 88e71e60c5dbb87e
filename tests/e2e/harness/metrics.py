"""Reads the Prometheus text exposition, strictly: what it does not understand is a failure."""

import re
import urllib.error
import urllib.request

_SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)(?: -?\d+)?$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')


class Exposition:
    def __init__(self, text):
        self.text = text
        self.types = {}
        self.helps = {}
        self.samples = {}  # (name, ((label, value), …)) -> float
        for number, line in enumerate(text.split("\n"), 1):
            if not line:
                continue
            if line.startswith("# HELP "):
                name, _, rest = line[7:].partition(" ")
                self.helps[name] = rest
            elif line.startswith("# TYPE "):
                name, kind = line[7:].split(" ")
                if name in self.types:
                    raise AssertionError(f"line {number}: a second TYPE for {name}")
                self.types[name] = kind
            elif line.startswith("#"):
                continue
            else:
                self._sample(number, line)

    def _sample(self, number, line):
        match = _SAMPLE.match(line)
        if not match:
            raise AssertionError(f"line {number} is not a sample: {line!r}")
        name, labels, value = match.groups()
        pairs = []
        rest = labels or ""
        while rest:
            label = _LABEL.match(rest)
            if not label:
                raise AssertionError(f"line {number}: labels {rest!r}")
            pairs.append(label.groups())
            rest = rest[label.end():]
        key = (name, tuple(sorted(pairs)))
        if key in self.samples:
            raise AssertionError(f"line {number}: the series {key} appears twice")
        self.samples[key] = float(value)

    def family(self, sample_name):
        """The metric family a sample belongs to, or None."""
        if sample_name in self.types:
            return sample_name
        base = re.sub(r"_(bucket|sum|count)$", "", sample_name)
        return base if self.types.get(base) in ("histogram", "summary") else None

    def total(self, name, **labels):
        """Sum of all the series of `name` that carry these labels. KeyError when there is none."""
        found = [value for (n, pairs), value in self.samples.items()
                 if n == name and all(dict(pairs).get(k) == v for k, v in labels.items())]
        if not found:
            raise KeyError(f"{name} {labels}")
        return sum(found)

    def names(self):
        return {name for name, _ in self.samples}


def http_get(port, path, timeout=10.0):
    """(status, body) of a GET on loopback; 4xx and 5xx are answers, not exceptions."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
