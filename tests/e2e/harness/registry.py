"""The list of cases. A case is a function whose name is a sentence about behaviour."""

import dataclasses
import re
from typing import Callable


class Skip(Exception):
    """Raised by a case that cannot run here; the reason is printed and counted."""


@dataclasses.dataclass(frozen=True)
class Case:
    room: str
    sentence: str
    run: Callable
    direct: bool  # also true of a redis-server without anything in front of it
    full: bool    # left out of the quick tier
    timeout: float

    @property
    def name(self):
        return f"{self.room}: {self.sentence}"


CASES = []


def case(run=None, *, direct=False, full=False, timeout=60.0):
    """Registers a case. `@case` alone, or with options as `@case(direct=True)`."""

    def register(function):
        room = function.__module__.rsplit(".", 1)[-1]
        sentence = re.sub(r"_+", " ", function.__name__).strip()
        if any(c.room == room and c.sentence == sentence for c in CASES):
            raise ValueError(f"two cases are called {room}: {sentence}")
        CASES.append(Case(room, sentence, function, direct, full, timeout))
        return function

    return register(run) if run else register
