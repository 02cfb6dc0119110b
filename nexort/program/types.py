"""Types: a kind, named axes, and for kets the iid copies they live on."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache


class Kind(Enum):
    """What a value is in the limit."""

    SCALAR = "scalar"
    KET = "ket"
    OPERATOR = "operator"

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class Axis:
    """A named axis; ``size`` is known for literal sizes, whose name is the number itself."""

    name: str
    size: int | None = None

    def __str__(self) -> str:
        return self.name


Axes = tuple[Axis, ...]
ROOT = frozenset({0})
NO_COPIES: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Type:
    """Kind and axes. ``copies`` (kets only): {0} for an ordinary ket, {k} for its k-th iid copy,
    and the union for functions of several; a ket with copies other than {0} is *open*.
    """

    kind: Kind
    axes: Axes = ()
    copies: frozenset[int] = NO_COPIES
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.kind, self.axes, self.copies)))

    def __hash__(self) -> int:
        return self._hash

    @property
    def open(self) -> bool:
        """Whether this is a function of iid copies that an expectation still has to average."""
        return self.kind is Kind.KET and self.copies != ROOT

    def __str__(self) -> str:
        axes = f"[{', '.join(map(str, self.axes))}]" if self.axes else ""
        return f"{self.kind.value}{axes}"


@lru_cache(4096)
def scalar(axes: Axes = ()) -> Type:
    """A multi-scalar."""
    return Type(Kind.SCALAR, axes)


@lru_cache(4096)
def ket(axes: Axes = (), copies: frozenset[int] = ROOT) -> Type:
    """A multi-ket."""
    return Type(Kind.KET, axes, copies)


@lru_cache(4096)
def operator(axes: Axes = ()) -> Type:
    """An operator."""
    return Type(Kind.OPERATOR, axes)


class AxisMismatch(Exception):
    """Two axes that should agree and do not; ``left`` or ``right`` is None where one is missing."""

    def __init__(self, left: Axis | None, right: Axis | None) -> None:
        super().__init__(left, right)
        self.left, self.right = left, right


def unify(a: Axis, b: Axis) -> Axis:
    """The common axis: the same name, or a literal size against a named axis (checked when the
    named one's size is known). Raises AxisMismatch."""
    if a == b or a.name == b.name:
        return a
    if a.size is not None and b.size is not None:
        raise AxisMismatch(a, b)
    if a.size is not None:
        return b
    if b.size is not None:
        return a
    raise AxisMismatch(a, b)


def broadcast(a: Axes, b: Axes) -> Axes:
    """The axes of an entrywise product: aligned from the right, the shorter repeated over the
    others. Raises AxisMismatch."""
    if a is b or a == b:
        return a
    if len(a) < len(b):
        return (
            broadcast(b, a) if not a else b[: len(b) - len(a)] + _aligned(a, b[len(b) - len(a) :])
        )
    return a[: len(a) - len(b)] + _aligned(a[len(a) - len(b) :], b)


def _aligned(a: Axes, b: Axes) -> Axes:
    return tuple(unify(x, y) for x, y in zip(a, b, strict=True))
