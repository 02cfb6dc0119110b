"""The backpropagation pass against PyTorch's autograd (stored) and finite differences."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from nexort import driver, functions
from nexort.data import LoadedArray
from nexort.diagnostics import Source
from nexort.driver import Given
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind
from nexort.program.unrolled import Array, Unrolled
from nexort.training.backprop import gradients
from nexort.training.task import Gradient, Key, seed_slot

TORCH = np.load(Path(__file__).with_name("torch.npz"))

NETWORK = """
dim d, M, e
data xi[d, M]
vector u[d] ~ N(0, 1)
matrix W ~ N(0, 1/n)
vector v[e] ~ N(0, 1)
scalar c -> 0.7
|x> = tanh(|u> @ xi)
|y1> = |x> + c0 * silu(W |x>)
|y> = |y1> + 0.5 * erf(W^T |y1>)
|z> = (|y> - <1|y>) / sqrt(diag(<y|y>) - <1|y>^2 + 0.01)
f = <v|z>
output f
"""

PROGRAMS = {
    "perceptron": """
      |x> = tanh(|u> @ xi)
      |y> = relu(W |x>)
      f = <w|y>""",
    "residual, tied, transposed": """
      |x> = tanh(|u> @ xi)
      |y> = |x> + gelu(W |x>)
      |z> = W^T |y> + W |y>
      f = <w|z>""",
    "order 1": """
      |x> = |u> @ xi
      |y> = E{1}[ tanh(|x> * |w>{1} + <1|x>) * (W |x>){1} ]
      f = <w|y>""",
    "order 2": """
      |x> = |u> @ xi
      |p> = W |w>
      |y> = E{1,2}[ sin(|p>{1} * |w> + |x>{2} * <w|w>) * |p>{2} ]
      f = <w|y>""",
    "order 1, a scalar": """
      |x> = |u> @ xi
      |p> = W |w>
      s = E{1}[ cos(|p>{1} * 0.7) * |w>{1} ]
      f = <w|x> * s + <1|p>""",
    "axes": """
      |x> = |u> @ xi
      |y> = tanh(|x>^T @ [[1, 2], [3, 4], [0, 1]]) @ [1, -1]
      g = <w|x> + <y|w>
      f = [[1, 0], [2, 1], [0, 1]] @ [g * 2, g]""",
    "selections": """
      |x> = tanh(|u> @ xi)
      |y> = W (|x>[1] * |x>[0])
      k = <x|x>
      f = <w|y> + k[0, 1] * k[:, 2] + diag(k)""",
}


def network(text: str) -> Unrolled:
    """A core program with data of fixed size."""
    arrays = {"xi": np.random.default_rng(3).standard_normal((2, 3))}
    given = {k: LoadedArray(v, k) for k, v in arrays.items()}
    return driver.unroll(driver.compile_source(Source("p", text)), Given({}, given))


def draws(step: Unrolled, n: int) -> dict[Key, Array]:
    """Every initial object of a program at width n."""
    rng = np.random.default_rng(5)
    found: dict[Key, Array] = {}
    for x in walk([m for o in step.outputs for m in o.members]):
        if x.op is Op.INIT_VECTOR and x.attr not in found:
            found[x.attr] = rng.standard_normal((*step.shape(x.type.axes), n))
        if x.op is Op.MATMUL and x.attr[:2] not in found:
            found[x.attr[:2]] = rng.standard_normal((n, n)) / np.sqrt(n)
    return found


def evaluated(  # noqa: C901, PLR0912, PLR0915 - one case an operation
    roots: list[Node], step: Unrolled, given: Mapping[Key, Array], slots: dict
) -> list:  # type: ignore[type-arg, no-untyped-def]
    """The graph at width n, entry by entry: kets have one axis of length n for every copy 0, 1, 2,
    of length 1 where they do not depend on it."""
    n = next(iter(a.shape[-1] for a in given.values()))
    values: dict[Node, Array] = {}

    def tail(x: Node) -> int:
        return 3 if x.type.kind is Kind.KET else 0

    def contraction(x: Node, a: Array, b: Array) -> Array:
        p, q = (v.ndim - tail(y) for v, y in zip((a, b), x.args, strict=True))
        left, right = "abcde"[:p], "fghij"[:q]
        right = left[p - x.attr :] + right[x.attr :]
        out = left[: p - x.attr] + right[x.attr :]
        a, b = (
            v if tail(y) else v[..., None, None, None] for v, y in zip((a, b), x.args, strict=True)
        )
        if not max(map(tail, x.args)):
            return np.einsum(f"{left},{right}->{out}", a[..., 0, 0, 0], b[..., 0, 0, 0])
        shape = np.broadcast_shapes(a.shape[p:], b.shape[q:])
        a = np.broadcast_to(a, a.shape[:p] + shape)
        b = np.broadcast_to(b, b.shape[:q] + shape)
        return np.einsum(f"{left}XYZ,{right}XYZ->{out}XYZ", a, b)

    for x in walk(roots):
        args = [values[a] for a in x.args]
        axes = step.shape(x.type.axes)
        match x.op:
            case Op.CONST:
                value = np.asarray(x.attr, float)
            case Op.SLOT | Op.INIT_SCALAR:
                value = slots[x]
            case Op.DATA:
                value = step.data[x.attr]
            case Op.SIZE:
                value = np.asarray(float(step.sizes[x.attr]))
            case Op.INIT_VECTOR:
                value = given[x.attr][..., None, None]
            case Op.MATMUL:
                w = given[x.attr[:2]]
                w = w.T if x.attr[2] else w
                full = np.broadcast_to(args[0], (*axes, n, 1, 1))
                value = np.einsum("ij,...jkl->...ikl", w, full)
            case Op.CALL:
                if tail(x):
                    args = [
                        a if tail(y) else a[..., None, None, None]
                        for a, y in zip(args, x.args, strict=True)
                    ]
                value = functions.registry()[x.attr].evaluate(*args)
            case Op.CONTRACT:
                value = contraction(x, *args)
            case Op.INNER:
                a, b = (
                    np.broadcast_to(v, (*step.shape(y.type.axes), n, 1, 1)).reshape(-1, n)
                    for v, y in zip(args, x.args, strict=True)
                )
                value = (a @ b.T / n).reshape(axes)
            case Op.AVERAGE:
                value = np.broadcast_to(args[0], (*axes, n, 1, 1)).mean(axis=(-3, -2, -1))
            case Op.COPY:
                value = np.moveaxis(args[0], -3, -3 + x.attr)
            case Op.MEAN:
                value = args[0].mean(axis=tuple(-3 + k for k in x.attr), keepdims=True)
                value = value if tail(x) else value[..., 0, 0, 0]
            case Op.TAKE:
                value = args[0][tuple(slice(None) if p is None else p for p in x.attr)]
            case Op.TRANSPOSE:
                k = args[0].ndim - tail(x)
                value = args[0].transpose(*reversed(range(k)), *range(k, args[0].ndim))
            case Op.DIAGONAL:
                k = args[0].ndim - tail(x)
                value = np.moveaxis(np.diagonal(args[0], axis1=k - 2, axis2=k - 1), -1, k - 2)
            case Op.SPREAD:
                value = args[0]
                if tail(x) and not tail(x.args[0]):
                    value = value[..., None, None, None]
                ends = value.shape[value.ndim - tail(x) :] if tail(x) else ()
                value = np.broadcast_to(value, axes + ends)
            case Op.STACK:
                value = np.stack(np.broadcast_arrays(*args))
            case _:
                raise AssertionError(x.op)
        values[x] = value
    return [values[r] for r in roots]


def gradient_array(found: Gradient, step: Unrolled, given: Mapping[Key, Array], slots: dict):  # type: ignore[type-arg, no-untyped-def]
    """The gradient by a weight's entries: (1/n) d v, and (1/n) sum of |left><right|."""
    n = next(iter(a.shape[-1] for a in given.values()))
    if found.pairs:
        total = np.zeros((n, n))
        for pair in found.pairs:
            left, right = evaluated(list(pair), step, given, slots)
            axes = step.shape(pair[0].type.axes)
            a, b = (np.broadcast_to(v, (*axes, n, 1, 1)).reshape(-1, n) for v in (left, right))
            total += a.T @ b
        return total / n
    assert found.ket is not None
    [value] = evaluated([found.ket], step, given, slots)
    return np.broadcast_to(value, (*step.shape(found.ket.type.axes), n, 1, 1))[..., 0, 0] / n


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    head = "dim d, M\ndata xi[d, M]\nvector u[d] ~ N(0, 1)\nvector w ~ N(0, 1)\n"
    step = network(f"{head}matrix W ~ N(0, 1/n)\n{PROGRAMS[name]}\noutput f\n")
    [out] = step.outputs[0].members
    given = draws(step, 5)
    seed = seed_slot(out.type.axes)
    chi = np.random.default_rng(1).standard_normal(step.shape(out.type.axes))
    found = gradients(out, seed, list(given), step.sizes)
    for key, array in given.items():
        got = gradient_array(found[key], step, given, {seed: chi})
        wanted = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            values = []
            for sign in (1, -1):
                moved = array.copy()
                moved[place] += sign * 1e-5
                [value] = evaluated([out], step, {**given, key: moved}, {})
                values.append(float((chi * value).sum()))
            wanted[place] = (values[0] - values[1]) / 2e-5
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-8, err_msg=str(key))
        assert np.abs(wanted).max() > 1e-4


def test_gradients_are_those_of_pytorch() -> None:
    given_data = {"xi": LoadedArray(TORCH["net.xi"], "xi")}
    text = NETWORK.replace("scalar c -> 0.7", "scalar c0 ~ N(0, 1/n)")
    program = driver.compile_source(Source("p", text))
    step = driver.unroll(program, Given({"e": 2}, given_data))
    [out] = step.outputs[0].members
    leaf = next(x for x in walk([out]) if x.op is Op.INIT_SCALAR)
    given = {("u", ()): TORCH["net.u"], ("W", ()): TORCH["net.W"], ("v", ()): TORCH["net.v"]}
    seed = seed_slot(out.type.axes)
    found = gradients(out, seed, [*given, leaf.attr], step.sizes)
    slots = {seed: TORCH["net.chi"], leaf: TORCH["net.c"]}
    [value] = evaluated([out], step, given, slots)
    np.testing.assert_allclose(value, TORCH["net.out"], rtol=1e-12)
    for key in given:
        got = gradient_array(found[key], step, given, slots)
        np.testing.assert_allclose(got, TORCH[f"net.d{key[0]}"], rtol=1e-10, atol=1e-13)
    scalar = found[leaf.attr].scalar
    assert scalar is not None
    [got] = evaluated([scalar], step, given, slots)
    np.testing.assert_allclose(got, TORCH["net.dc"], rtol=1e-10)
