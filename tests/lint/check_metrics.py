#!/usr/bin/env python3
"""What alerts, dashboard and documents ask for is there: names, labels, and the labels' values. And
every alert has a test (promtool's, which tests/lint/run runs where there is a promtool).

METRICS.md is the truth; a unit test compares it with what the daemon registers.
"""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| \w+ \| (.*?) \| ")
LABEL = re.compile(r"`(\w+)`(?:: ([^;]*))?")
USED = re.compile(r"(?<![\w:/.-])((?:nearcached|process)_[a-z0-9_]+)\b(?:\{([^{}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*\\?"((?:[^"\\]|\\[^"])*)\\?"')
# Labels that Prometheus adds, and the one of histogram buckets.
OUTSIDE = {"instance", "job", "le"}


def page():
    """name -> {label: its values, or None where METRICS.md does not list them}."""
    known = {}
    for line in (ROOT / "METRICS.md").read_text(encoding="utf-8").splitlines():
        row = ROW.match(line)
        if row:
            name, kind, labels = row.groups()
            values = {label: set(listed.replace("\\|", "|").split(", ")) if listed else None
                      for label, listed in LABEL.findall(labels)}
            for part in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
                known[name + part] = values
            known.setdefault(name, values)  # in prose a histogram goes by its own name
    return known


def texts(path):
    """(line, text) of a file; of JSON every string, for there quotes are escaped."""
    whole = path.read_text(encoding="utf-8")
    if path.suffix != ".json":
        return list(enumerate(whole.splitlines(), 1))
    found = []

    def walk(value):
        if isinstance(value, str):
            found.append((0, value))
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(item)

    walk(json.loads(whole))
    return found


def check(known, name, selector):
    """What is wrong with one use, or nothing."""
    if name not in known:
        return f"no such metric: {name}"
    for label, _, wanted in MATCHER.findall(selector or ""):
        if label in OUTSIDE or wanted.startswith("$"):
            continue
        if label not in known[name]:
            return f"{name} has no label {label}"
        listed = known[name][label]
        for value in wanted.split("|") if listed is not None else ():
            if not any(re.fullmatch(value, one) for one in listed):
                return f"{name}: {label} is never {value}, but one of {', '.join(sorted(listed))}"
    return None


def untested_alerts():
    folder = ROOT / "deploy/prometheus"
    tests = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*_test.yml")))
    fired = set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n", tests))  # and not just expected to be silent
    return [name for name in re.findall(r"- alert: (\w+)", (folder / "rules.yml").read_text(encoding="utf-8"))
            if name not in fired]


def main():
    known = page()
    bad, uses = [], 0
    for folder, pattern in (("deploy", "**/*"), ("scripts/container", "*"), (".", "*.md"), ("tests/e2e/cases", "*.py")):
        for path in sorted((ROOT / folder).glob(pattern)):
            if not path.is_file() or path.name == "METRICS.md":
                continue
            for number, text in texts(path):
                for name, selector in USED.findall(text):
                    if name.endswith("_"):
                        continue  # the beginning of several
                    uses += 1
                    wrong = check(known, name, selector)
                    if wrong:
                        bad.append(f"{path.relative_to(ROOT).as_posix()}:{number}: {wrong}")
    bad += [f"deploy/prometheus/rules.yml: no test in which {name} fires" for name in untested_alerts()]
    print("\n".join(bad), end="\n" if bad else "")
    print(f"metrics: {len(known)} names in METRICS.md, {uses} uses, {len(bad)} wrong")
    sys.exit(bool(bad) or not uses or not known)


if __name__ == "__main__":
    main()
