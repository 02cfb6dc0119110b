"""Sums of products, factored: sum_l K_l s_l s_{l+1} ... s_L takes one product and one sum a layer
instead of L (Horner's rule), and its parts need not be kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from nexort.limit.exact.values import Value, Values, What


def factor_sums(values: Values, roots: Sequence[Value]) -> list[Value]:
    """Equal values in which every sum is factored by what most of its terms share."""
    done: dict[Value, Value] = {}
    for v in dependency_order(roots):
        args = tuple(done[a] for a in v.args)
        if v.what is What.CALL and v.attr == "add":
            done[v] = _sum(values, args)
        else:
            done[v] = v if args == v.args else values.rebuilt(v, args)
    return [done[r] for r in roots]


def _factors(v: Value) -> tuple[Value, ...]:
    return v.args if v.what is What.CALL and v.attr == "mul" else (v,)


def _sum(values: Values, terms: Iterable[Value]) -> Value:
    """Terms without anything in common, plus the most shared factors times the sum of the rest.
    Every factor is looked at when its product is taken apart, and no more often."""
    products = [Counter(_factors(t)) for t in terms]
    count = Counter(f for p in products for f in p if f.number is None)
    layers: list[tuple[list[Value], list[Value]]] = []
    while True:
        shared = max(count, key=lambda f: (count[f], f.serial), default=None)
        if shared is None or count[shared] < 2:
            break
        leaving = [p for p in products if shared not in p]
        for p in leaving:
            _forget(count, (f for f in p if f.number is None))
        apart = [values.mul(*p.elements()) for p in leaving]
        products = [p for p in products if shared in p]
        # what all of these share is taken out at once
        common = [f for f in products[0] if f.number is None and count[f] == len(products)]
        common.sort(key=lambda f: f.serial)
        for p in products:
            p.subtract(common)
            gone = [f for f in common if not p[f]]
            for f in gone:
                del p[f]
            _forget(count, gone)
        layers.append((apart, common))
    total = values.add(*(values.mul(*p.elements()) for p in products))
    for apart, common in reversed(layers):
        # not flattened: the factored sum is one factor
        product = values.make(What.CALL, (total, *common), "mul")
        total = product
        if apart:
            total = values.make(What.CALL, (*apart, product), "add")
    return total


def _forget(count: Counter[Value], factors: Iterable[Value]) -> None:
    """Count one product less for each."""
    for f in factors:
        count[f] -= 1
        if not count[f]:
            del count[f]


def dependency_order(roots: Iterable[Value]) -> list[Value]:
    """The values that some depend on, arguments first, and each as late as it can be: deeper
    arguments come before shallow ones, so that few are held at a time."""
    depth: dict[Value, int] = {}
    roots = list(roots)
    for v in _reachable(roots):
        depth[v] = 1 + max((depth[a] for a in v.args), default=0)
    order: list[Value] = []
    seen: set[Value] = set()
    stack: list[tuple[Value, bool]] = [(r, False) for r in sorted(roots, key=lambda v: depth[v])]
    while stack:
        v, ready = stack.pop()
        if ready:
            order.append(v)
        elif v not in seen:
            seen.add(v)
            stack.append((v, True))
            # the last on the stack is visited first
            stack += [(a, False) for a in sorted(v.args, key=lambda a: depth[a])]
    return order


def _reachable(roots: Iterable[Value]) -> list[Value]:
    """By creation, so that arguments come first."""
    seen: set[Value] = set()
    stack = list(roots)
    while stack:
        v = stack.pop()
        if v not in seen:
            seen.add(v)
            stack.extend(v.args)
    return sorted(seen, key=lambda v: v.serial)
