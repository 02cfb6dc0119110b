"""What is measured of a training: its tensors, and the sizes that are taken of each at every step.

A size is the root mean square of a vector's entries, or of a scalar's over its axes, over entries
and runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind
from nexort.training.task import Key, Task, weight_name

Role = Literal["weight", "ket", "scalar", "output", "signal"]

What = Literal[
    "size", "change", "effect", "gradient", "seen", "update", "initial", "pull", "push", "scale"
]
"""Of a tensor x at step t:

=========  ==========================================================================
size       x_t
change     x_t - x_0
effect     (W_t - W_0) z_t, what the updates of W so far do to x = W z
gradient   of sum_i chi_i f_i by an entry of x_t
seen       n^d g of a weight: the gradient that its update function sees at step t
update     W_{t+1} - W_t of a weight, decay left out
initial    W_0 of a weight less its mean: n^(-a-b)
pull       seen / (gradient by an entry of W): n^(d-a)
push       update / what the update function says: n^(-a-c), less where that is
           divided by a norm
scale      f_t / <1|x_t>: n^(1-a_out)
=========  ==========================================================================

The last four are a weight's, or f's, own: no other tensor has a part in them.
"""

OWN: tuple[What, ...] = ("initial", "pull", "push", "scale")


@dataclass(frozen=True, slots=True)
class Tensor:
    """A vector, scalar or weight of a training. ``node`` is its node in the step's graph: a
    matrix's is None, f's is the network's output, chi has none. ``place`` orders tensors as the
    forward pass meets them."""

    label: str
    role: Role
    node: Node | None
    key: Key | None
    place: float


@dataclass(frozen=True, slots=True)
class Quantity:
    """One size, at one step."""

    what: What
    tensor: Tensor
    step: int

    @property
    def order(self) -> tuple[int, int, float]:
        """Where the run meets it: step, forward or backward or update, place in the pass."""
        place = self.tensor.place
        match self.what:
            case "gradient":
                return self.step, 1, -place
            case "seen":
                return self.step, 2, place
            case "update":
                return self.step, 3, place
            case "effect":
                return self.step, 0, place - 0.25
            case _:
                return self.step, 0, place

    @property
    def label(self) -> str:
        """How a table says it."""
        x = self.tensor.label
        match self.what:
            case "change":
                return f"the change of {x}"
            case "effect":
                assert self.tensor.node is not None
                return f"what updates of {weight_name(self.tensor.node.attr[:2])} add to {x}"
            case "gradient":
                return f"the gradient by {x}"
            case "seen":
                return f"the gradient that the update function of {x} sees"
            case "update":
                return f"the update of {x}"
            case _:
                return x


def tensors(task: Task) -> tuple[Tensor, ...]:
    """The weights, named vectors and scalars, products with matrices, f and chi of a training, as
    the forward pass meets them. ``task`` has been prepared without judging."""
    names: dict[Node, str] = {}
    for slot, (node, _) in task.moments.items():
        name, indices = str(slot.attr[1]), slot.attr[2]
        names.setdefault(node, weight_name((name, indices)))
    order = walk([task.out, *names])
    found = []
    seen: set[Key] = set()
    for x in order:
        place = float(x.serial)
        if x.op in (Op.INIT_VECTOR, Op.INIT_SCALAR) and x.attr[:2] in task.weights:
            key = (str(x.attr[0]), tuple(x.attr[1]))
            found.append(Tensor(weight_name(key), "weight", x, key, place))
        elif x.op is Op.MATMUL and (key := (str(x.attr[0]), tuple(x.attr[1]))) in task.weights:
            if key not in seen:
                seen.add(key)
                found.append(Tensor(weight_name(key), "weight", None, key, place - 0.5))
            found.append(Tensor(names.get(x) or _product(x, names), "ket", x, None, place))
        elif x in names and x is not task.out:
            role: Role = "ket" if x.type.kind is Kind.KET else "scalar"
            found.append(Tensor(names[x], role, x, None, place))
    last = max((t.place for t in found), default=0.0)
    name = names.get(task.out, "f")
    found.append(Tensor(name, "output", task.out, None, last + 1))
    found.append(Tensor("chi", "signal", None, None, last + 2))
    return tuple(found)


def _product(x: Node, names: dict[Node, str]) -> str:
    """An application of a matrix that has no name of its own."""
    matrix = weight_name(x.attr[:2]) + ("^T" if x.attr[2] else "")
    [argument] = x.args
    text = f"{argument.attr}(...)" if argument.op is Op.CALL else "..."
    return f"{matrix} {names.get(argument, text)}"
