"""The program: declarations, rules, outputs, and the training if there is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from nexort.program.declarations import (
    Block,
    Data,
    Dim,
    Family,
    Initial,
    Note,
    OutputRule,
    Param,
    Rule,
    UpdateRule,
    UserFunction,
    rules_of,
)
from nexort.program.index import Loop
from nexort.program.network import Training
from nexort.support.diagnostics import Diagnostic, Source

OUTPUTS, RETURN, TRAIN = "the outputs", "the output of the network", "the training"
"""What the notes of a program have for what has no name."""


@dataclass(frozen=True)
class Program:
    """A checked program. Mappings keep the order of the text."""

    source: Source
    params: Mapping[str, Param]
    dims: Mapping[str, Dim]
    data: Mapping[str, Data]
    initial: Mapping[str, Initial]
    updates: Mapping[str, UpdateRule]
    families: Mapping[str, Family]
    body: tuple[Rule | Block, ...]
    outputs: tuple[OutputRule, ...]
    training: Training | None = None
    warnings: tuple[Diagnostic, ...] = ()
    """What is probably not meant."""
    functions: Mapping[str, UserFunction] = field(default_factory=dict, compare=False)
    """The functions that texts of the program may use."""
    notes: Mapping[str, Note] = field(default_factory=dict, compare=False)
    """The comments of declarations, by name, and of the outputs."""

    def rules(self) -> Iterator[tuple[tuple[Loop, ...], Rule]]:
        """Every rule with the loops around it, in order."""

        return rules_of(self.body)
