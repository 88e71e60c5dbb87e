"""Bounded polling: the only way a case waits for something it cannot be told about."""

import os
import time

SCALE = float(os.environ.get("E2E_TIMEOUT_SCALE", "1"))


class TimedOut(AssertionError):
    pass


def eventually(probe, what, timeout=15.0, step=0.01):
    """Calls `probe` until it returns something true, and returns that; fails after `timeout` seconds.

    An AssertionError or OSError of the probe counts as "not yet"; the last one is part of the failure.
    """
    deadline = time.monotonic() + timeout * SCALE
    last = None
    while True:
        try:
            result = probe()
            if result:
                return result
        except (AssertionError, OSError) as error:
            last = error
        if time.monotonic() > deadline:
            raise TimedOut(f"never happened within {timeout * SCALE:.0f} s: {what}"
                           + (f" (last: {last!r})" if last else ""))
        time.sleep(step)


def equal(got, expected, what=""):
    if got != expected:
        raise AssertionError(f"{what}\n  expected {_cut(expected)}\n       got {_cut(got)}")


def true(condition, what):
    if not condition:
        raise AssertionError(what)


def _cut(value, limit=600):
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
