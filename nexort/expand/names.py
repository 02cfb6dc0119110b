"""Names of an expansion: those of the file, and new ones beside them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, count

from nexort import activations
from nexort.program.build import NAMED
from nexort.syntax.lexing import SETTING_WORDS, STATEMENT_WORDS

WORDS = frozenset((*SETTING_WORDS, *STATEMENT_WORDS, "n", "E", "pi", "T", "sum", "N", *NAMED))


class ExpansionNames:
    """The names that are ``taken``, beside the words of the language; ``updates`` are the update
    functions of the file."""

    def __init__(self, taken: Iterable[str], updates: Iterable[str] = ()) -> None:
        self.updates = {name: name for name in updates}
        self.taken = {*taken, *self.updates, *activations.registry()}
        self.cotangents: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.taken or name in WORDS

    def fresh(self, *candidates: str) -> str:
        """The first candidate that is free, else the last one with a number."""
        last = candidates[-1]
        spellings = chain(candidates, (f"{last}{k}" for k in count(1)))
        name = next(x for x in spellings if x not in self)
        self.taken.add(name)
        return name

    def free(self, name: str) -> str:
        """A name that words of the language do not stand in the way of, such as T."""
        if name in self.taken:
            return self.fresh(name)
        self.taken.add(name)
        return name

    def update(self, name: str) -> str:
        """The name of an update function, which those of the registry leave to the file."""
        if name not in self.updates:
            self.updates[name] = self.fresh(name)
        return self.updates[name]

    def cotangent(self, name: str) -> str:
        """The name of a member's cotangent, dx for x."""
        if name not in self.cotangents:
            self.cotangents[name] = self.fresh(f"d{name}", f"d_{name}")
        return self.cotangents[name]
