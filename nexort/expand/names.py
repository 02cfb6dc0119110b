"""Names of an expansion: those of the file, and new ones beside them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, count

from nexort import functions
from nexort.syntax.lexing import SETTING_WORDS, STATEMENT_WORDS

WORDS = frozenset((*SETTING_WORDS, *STATEMENT_WORDS, "n", "E", "pi", "T", "diag", "sum", "N"))


class Names:
    """The names that are taken."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = {*taken, *WORDS, *functions.registry()}
        self.cotangents: dict[str, str] = {}

    def fresh(self, *candidates: str) -> str:
        """The first candidate that is free, else the last one with a number."""
        last = candidates[-1]
        spellings = chain(candidates, (f"{last}{k}" for k in count(1)))
        name = next(x for x in spellings if x not in self.taken)
        self.taken.add(name)
        return name

    def free(self, name: str) -> str:
        """A name that words of the language do not stand in the way of, such as T."""
        if name in self.taken and name not in WORDS:
            return self.fresh(name)
        self.taken.add(name)
        return name

    def cotangent(self, name: str) -> str:
        """The name of a member's cotangent, dx for x."""
        if name not in self.cotangents:
            self.cotangents[name] = self.fresh(f"d{name}", f"d_{name}")
        return self.cotangents[name]
