"""Random streams: one for every initial array, or block of rows of an initial matrix.

A stream is found by what it is for (seed, run, width, kind, name, indices, block) and by nothing
else, so draws do not depend on threads, memory, the order of evaluation, or which other symbols
exist, and runs at different widths are independent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from nexort.finite.arrays import DType, call_entrywise
from nexort.program.nodes import Node, Op, walk
from nexort.program.unrolled import Array
from nexort.support.diagnostics import InternalError, did_you_mean, fail

Symbol = tuple[str, tuple[int, ...]]
"""An initial object: its name and family indices."""


def symbol_of(node: Node) -> Symbol:
    """The initial object of an INIT_* or MATMUL node."""
    name, indices = node.attr[:2]
    return str(name), tuple(indices)


Law = Callable[[np.random.Generator, tuple[int, ...], DType], Array]
"""Draws standardized entries (mean 0, variance 1) of a shape and dtype."""


@dataclass(frozen=True, slots=True)
class Streams:
    """The streams of one run, with arrays of one dtype (scalars are float64)."""

    seed: int
    run: int
    width: int
    dtype: DType

    def generator(self, kind: str, symbol: Symbol, block: int = 0) -> np.random.Generator:
        """The stream of one block of one symbol."""
        name, indices = symbol
        member = tuple(map(int, indices))
        key = repr((self.seed, self.run, self.width, kind, name, member, block))
        entropy = int.from_bytes(blake2b(key.encode(), digest_size=32).digest(), "little")
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(entropy)))

    def vector(self, symbol: Symbol, shape: tuple[int, ...]) -> Array:
        """Independent N(0, 1) entries, shape ``(*shape, n)``."""
        return gaussian_draw(self.generator("vector", symbol), (*shape, self.width), self.dtype)

    def scalar(self, symbol: Symbol, shape: tuple[int, ...]) -> Array:
        """Independent N(0, 1/n) numbers, shape ``shape``."""
        drawn = self.generator("scalar", symbol).standard_normal(shape)
        return np.asarray(drawn / np.sqrt(self.width))

    def rows(self, symbol: Symbol, law: Law, block: int, height: int) -> Array:
        """Rows of a matrix times sqrt(n), shape ``(height, n)``."""
        return law(self.generator("matrix", symbol, block), (height, self.width), self.dtype)


def gaussian_draw(stream: np.random.Generator, shape: tuple[int, ...], dtype: DType) -> Array:
    """N(0, 1)."""
    if dtype == np.float32:
        return stream.standard_normal(shape, dtype=np.float32)
    return stream.standard_normal(shape)


def rademacher(stream: np.random.Generator, shape: tuple[int, ...], dtype: DType) -> Array:
    """Fair signs, one random bit each."""
    count = int(np.prod(shape))
    words = stream.integers(0, 2**64 - 1, size=-(-count // 64), dtype=np.uint64, endpoint=True)
    signs = np.unpackbits(words.astype("<u8").view(np.uint8), count=count).astype(dtype)
    signs *= 2
    signs -= 1
    return signs.reshape(shape)


def uniform_draw(stream: np.random.Generator, shape: tuple[int, ...], dtype: DType) -> Array:
    """sqrt(12) (U - 1/2)."""
    drawn = stream.random(shape, dtype=np.float32 if dtype == np.float32 else np.float64)
    drawn -= 0.5
    drawn *= dtype.type(np.sqrt(12))
    return np.asarray(drawn)


NAMED: Mapping[str, Law] = {
    "gaussian": gaussian_draw,
    "rademacher": rademacher,
    "uniform": uniform_draw,
}


def named_law(name: str) -> Law:
    """A law of matrix entries by name. Raises NexortError for an unknown one."""
    if name not in NAMED:
        message = f"unknown law of matrix entries '{name}', expected one of {', '.join(NAMED)}"
        raise fail("unknown-law", message, help=did_you_mean(name, NAMED))
    return NAMED[name]


def graph_law(root: Node) -> Law:
    """Entries f(z), z ~ N(0, 1), of a graph over the slot z."""
    nodes = walk([root])
    for node in nodes:
        if node.op not in (Op.SLOT, Op.CONST, Op.CALL):
            raise InternalError(f"{node.op.name} in the law of a matrix")

    def draw(stream: np.random.Generator, shape: tuple[int, ...], dtype: DType) -> Array:
        values: dict[Node, Array] = {}
        for node in nodes:
            match node.op:
                case Op.SLOT:
                    values[node] = gaussian_draw(stream, shape, dtype)
                case Op.CONST:
                    values[node] = np.asarray(node.attr, dtype)
                case _:
                    name = str(node.attr)
                    values[node] = call_entrywise(name, [values[a] for a in node.args])
        return np.ascontiguousarray(np.broadcast_to(values[root], shape), dtype)

    return draw
