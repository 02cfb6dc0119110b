"""Sizes taken while a network trains at width n."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from math import inf, prod

import numpy as np

from nexort.coordcheck.tensors import Quantity, Tensor, What
from nexort.finite.training.run import Pair, TrainingRun, Values
from nexort.program.nodes import Op
from nexort.program.unrolled import Array
from nexort.training.compiled import Kernel
from nexort.training.task import Key, Norm, Task, Weight
from nexort.training.update import Update


@dataclass(frozen=True)
class Heard(Update):
    """An update function that is listened to: ``blocks`` has the entries, and the sums of squares
    of gradients and of results, of every block since it was last cleared."""

    blocks: list[tuple[int, float, float]] = field(default_factory=list)

    def runner(self, t: int, size: int, dtype: np.dtype[np.generic]) -> Kernel:
        """As of the update function."""
        run = Update.runner(self, t, size, dtype)

        def heard(gradient: Array, states: object, result: Array) -> None:
            run(gradient, states, result)  # type: ignore[arg-type]
            self.blocks.append((gradient.size, _squares(gradient), _squares(result)))

        return heard

    def means(self) -> tuple[float, float]:
        """Mean squares of gradients and results; the blocks are cleared."""
        blocks = sorted(self.blocks)  # threads finish in any order
        self.blocks.clear()
        count = sum(b[0] for b in blocks)
        if not count:
            return 0.0, 0.0
        return sum(b[1] for b in blocks) / count, sum(b[2] for b in blocks) / count


class SizeWatch:
    """Watches one run; ``found`` has the mean squares of all quantities."""

    def __init__(self, task: Task, tensors: Collection[Tensor]) -> None:
        self.task, self.tensors = task, tensors
        self.nodes = frozenset(x.node for x in tensors if x.node is not None)
        self.heard = {
            key: Heard(w.update.rule, w.update.hyperparameters) for key, w in task.weights.items()
        }
        self.weights: Mapping[Key, Weight] = {
            key: replace(w, update=self.heard[key]) for key, w in task.weights.items()
        }
        self.found: dict[Quantity, float] = {}
        self.start: dict[Tensor, Array] = {}
        self.before: dict[Tensor, Array] = {}

    def _put(self, what: What, tensor: Tensor, t: int, value: float) -> None:
        self.found[Quantity(what, tensor, t)] = value

    # ---- forward -------------------------------------------------------------------------------

    def values(self, run: TrainingRun, t: int, values: Values, f: Array) -> None:
        """Sizes of all tensors, and of their changes."""
        for x in self.tensors:
            match x.role:
                case "signal":
                    continue
                case "output":
                    value = f
                case "weight" if x.key is not None:
                    value = _entries(run, x.key)
                case _:
                    assert x.node is not None
                    value = values[x.node]
            if x.role == "output" and t == 0:
                self._put("scale", x, t, run.scale**2)
            self._put("size", x, t, _mean(value))
            if t == 0:
                self.start[x] = np.array(value)
                if x.key is not None:
                    self._put("initial", x, t, _mean(value - self._mean_of(x.key, run.width)))
            else:
                self._put("change", x, t, _mean(value - self.start[x]))
            if x.role == "weight":
                self.before[x] = np.array(value) if t else self.start[x]
        if t > 0:
            self._effects(run, t, values)

    def _mean_of(self, key: Key, width: int) -> float:
        w = self.task.weights[key]
        return 0.0 if w.kind == "scalar" else float(w.mean) * float(width) ** -float(w.exponents.a)

    def _effects(self, run: TrainingRun, t: int, values: Values) -> None:
        """(W_t - W_0) z_t of every product x = W z."""
        start = {x.key: value for x, value in self.start.items() if x.key is not None}
        for x in self.tensors:
            if x.node is None or x.node.op is not Op.MATMUL:
                continue
            key = (str(x.node.attr[0]), tuple(x.node.attr[1]))
            z = values[x.node.args[0]].reshape(-1, run.width)
            moved = _entries(run, key) - start[key]
            self._put("effect", x, t, _mean(z @ moved if x.node.attr[2] else z @ moved.T))

    # ---- back, and the weights' steps ------------------------------------------------------------

    def gradients(
        self,
        run: TrainingRun,
        t: int,
        chi: Array,
        by_nodes: Values,
        by_weights: tuple[Mapping[Key, Array], Mapping[Key, Pair]],
    ) -> None:
        """Sizes of gradients by the tensors."""
        of_entries, of_matrices = by_weights
        for x in self.tensors:
            if x.role == "signal":
                self._put("size", x, t, _mean(chi))
            elif x.role == "weight" and x.key is not None:
                if x.key in of_entries:
                    self._put("gradient", x, t, _mean(of_entries[x.key]))
                elif x.key in of_matrices:
                    self._put("gradient", x, t, _product(*of_matrices[x.key]))
            elif x.node in by_nodes and x.role != "output":
                self._put("gradient", x, t, _mean(by_nodes[x.node]))

    def moved(self, run: TrainingRun, t: int) -> None:
        """What the update functions saw, and what became of it."""
        for x in self.tensors:
            if x.role != "weight" or x.key is None:
                continue
            w = self.weights[x.key]
            seen, result = self.heard[x.key].means()
            keep = 1 - float(w.decay[t])
            entries = _entries(run, x.key)
            update = _mean(entries - keep * self.before[x])
            if update <= (4 * float(np.finfo(entries.dtype).eps)) ** 2 * _mean(entries):
                update = 0.0  # roundings of the decay
            self._put("seen", x, t, seen)
            self._put("update", x, t, update)
            # once, at the first step at which there is a gradient
            gradient = self.found.get(Quantity("gradient", x, t), 0.0)
            if gradient > 0 and Quantity("pull", x, 0) not in self.found:
                self._put("pull", x, 0, seen / gradient)
            rate = float(w.rates[t])
            said = _said(w, t, result)
            if said > 0 and rate > 0 and Quantity("push", x, 0) not in self.found:
                self._put("push", x, 0, update / said / rate**2)

    def finished(self) -> None:
        """Arrays are let go, ``found`` stays."""
        self.start.clear()
        self.before.clear()


def _entries(run: TrainingRun, key: Key) -> Array:
    """W = n^-a w."""
    if key in run.matrices:
        matrix = run.matrices[key]
        return matrix.w * matrix.factor if matrix.factor != 1 else matrix.w
    return run.entries[key].value()


def _said(w: Weight, t: int, result: float) -> float:
    """The mean square of an update function's results, after the part of a division by their norm
    that does not depend on the width."""
    match w.norm:
        case Norm("updates"):
            return 1.0 if result > 0 else 0.0
        case Norm("clip" | "clip paper" as kind, thresholds) if thresholds is not None:
            # |Q|^2 / n^2e
            square = prod(w.shape) * result
            least = min(square, float(thresholds[t]) ** 2)
            return least / prod(w.shape) if kind == "clip" else result / (least or inf)
        case _:
            return result


def _mean(x: Array) -> float:
    """The mean square."""
    return _squares(x.reshape(-1)) / x.size if x.size else 0.0


def _squares(x: Array) -> float:
    wide = x.astype(np.float64, copy=False)
    return float(np.dot(wide, wide))


def _product(left: Array, right: Array) -> float:
    """The mean square of the entries of sum_k left_k right_k^T."""
    a, b = (side.astype(np.float64) for side in (left, right))
    entries = int(left.shape[1]) ** 2
    return max(0.0, float(np.sum((a @ a.T) * (b @ b.T)))) / entries


__all__ = ["Heard", "SizeWatch"]
