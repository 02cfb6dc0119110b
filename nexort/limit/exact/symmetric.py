"""Which values stay the same, or become one another, when rows and columns change places."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from nexort.limit.exact.labels import Index, Label
from nexort.limit.exact.values import Value, What


def is_symmetric(value: Value, row: Label, column: Label) -> bool:
    """Whether value[a, b] = value[b, a] by its graph alone, the inputs of both being the same."""
    table: dict[Hashable, int] = {}
    straight, turned = _Numbering(table, {}), _Numbering(table, {row: column, column: row})
    return straight.of(value) == turned.of(value)


def twins(values: Sequence[Value], row: Label, column: Label) -> dict[Value, Value]:
    """Of some values each that is made of columns as another is of rows, and the reverse."""
    table: dict[Hashable, int] = {}
    straight, turned = _Numbering(table, {}), _Numbering(table, {column: row})
    found: dict[Value, Value] = {}
    rows = {straight.of(v): v for v in values if v.labels == (row,)}
    for v in values:
        twin = rows.get(turned.of(v)) if v.labels == (column,) else None
        if twin is not None:
            found |= {v: twin, twin: v}
    return found


def _leaves(value: Value, name: str) -> list[Value]:
    """The terms of nested sums, the factors of nested products."""
    if value.what is not What.CALL or value.attr != name:
        return [value]
    return [x for a in value.args for x in _leaves(a, name)]


class _Numbering:
    """Equal numbers for values that are equal with labels exchanged, sums and products in any
    order, and pairs of Gaussians in either order."""

    def __init__(self, table: dict[Hashable, int], names: dict[Label, Label]) -> None:
        self.table, self.names = table, names
        self.known: dict[Value, int] = {}

    def of(self, value: Value) -> int:
        """The number of a value."""
        if value not in self.known:
            self.known[value] = self._number(self._key(value))
        return self.known[value]

    def _number(self, key: Hashable) -> int:
        return self.table.setdefault(key, len(self.table))

    def _index(self, i: Index) -> Index:
        return i if isinstance(i, int) else self.names.get(i, i)

    def _key(self, value: Value) -> Hashable:
        args = tuple(self.of(a) for a in value.args)
        match value.what:
            case What.ARRAY:
                source, indices = value.attr
                return value.what, source, tuple(self._index(i) for i in indices)
            case What.CALL if value.attr in ("add", "mul"):
                leaves = _leaves(value, value.attr)
                return value.what, value.attr, tuple(sorted(self.of(x) for x in leaves))
            case What.CALL if value.attr == "square":
                # (s - t)^2 = (t - s)^2
                terms = [self._term(x) for x in _leaves(value.args[0], "add")]
                signs = (tuple(sorted((c * n, k) for n, k in terms)) for c in (1, -1))
                return value.what, value.attr, min(signs)
            case What.SUM:
                return value.what, value.attr, tuple(sorted(args))
            case What.EYE:
                return value.what, frozenset(self._index(i) for i in value.attr)
            case What.STACK:
                return value.what, self._index(value.attr), args
            case What.ROOT:
                own, at = value.attr
                return value.what, own, tuple(self._index(i) for i in at), args
            case What.COV:
                turned = (args[1], args[0], *args[2:])
                return value.what, value.attr, *min(args, turned)
            case What.GAP | What.MIX:
                # a function of the covariances alone
                return value.what, args[2], *sorted(args[:2])
            case What.PAIR:
                return self._pair(value)
            case _:
                return value.what, value.attr, args

    def _term(self, value: Value) -> tuple[float, tuple[int, ...]]:
        """A term's number and its other factors."""
        number, others = 1.0, []
        for x in _leaves(value, "mul"):
            if x.number is None:
                others.append(self.of(x))
            else:
                number *= x.number
        return number, tuple(sorted(others))

    def _pair(self, value: Value) -> Hashable:
        f, g = value.attr
        parts = tuple(self.of(a) for a in value.args[0].args)
        straight = (f.node.serial, g.node.serial, parts)
        turned = (g.node.serial, f.node.serial, (parts[1], parts[0], *parts[2:]))
        return value.what, min(straight, turned)
