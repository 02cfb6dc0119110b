"""The backpropagation pass against PyTorch's autograd (stored) and finite differences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from at_width import AtWidth

from nexort import driver
from nexort.data.arrays import LoadedArray
from nexort.data.given import Given
from nexort.program import build
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind
from nexort.program.unrolled import Array, Unrolled
from nexort.program.verify import verify_unrolled
from nexort.support.diagnostics import Source
from nexort.training.backprop import gradients
from nexort.training.task import Gradient, Key, seed_slot

TORCH = np.load(Path(__file__).with_name("torch.npz"))

NETWORK = """
dim d, M, e
data xi[d, M]
vector u[d] ~ N(0, 1)
matrix W ~ N(0, 1/n)
vector v[e] ~ N(0, 1)
scalar c ~ N(0, 1/n)
|x> = tanh(|u> @ xi)
|y1> = |x> + c * silu(W |x>)
|y> = |y1> + 0.5 * erf(W^T |y1>)
|z> = (|y> - <1|y>) / sqrt(diag(<y|y>) - <1|y>^2 + 0.01)
f = <v|z>
output f
"""

HEAD = """
dim d, M
data xi[d, M]
vector u[d] ~ N(0, 1)
vector q[2, d] ~ N(0, 1)
vector w ~ N(0, 1)
matrix W ~ N(0, 1/n)
scalar s ~ N(0, 1/n)
scalar c[M] ~ N(0, 1/n)
|x> = |u> @ xi
|p> = W |w>
"""

PROGRAMS = {
    "perceptron": """
      |y> = relu(W tanh(|x>))
      f = <w|y>""",
    "residual, tied, transposed": """
      |y> = tanh(|x>) + gelu(W tanh(|x>))
      |z> = W^T |y> + s * W |y>
      f = <w|z>""",
    "layer norm": """
      |y> = W |x>
      |z> = (|y> - <1|y>) / sqrt(diag(<y|y>) - <1|y>^2 + 0.1)
      |a> = sigmoid(|z>)
      f = <w|a>""",
    "order 1": """
      |y> = E{1}[ tanh(|x> * |w>{1} + <1|x>) * (W |x>){1} ]
      f = <w|y>""",
    "order 2": """
      |y> = E{1,2}[ sin(|p>{1} * |w> + |x>{2} * <w|w>) * |p>{2} ]
      f = <w|y>""",
    "order 3, scalars": """
      |y> = E{1,2,3}[ sin(|p>{1} * |w> + |x>{2} * <w|w> + c * |p>{3}) * |p>{2} * |w>{3} ]
      f = <w|y>""",
    "expectations inside": """
      |r> = E{1}[ tanh(|p>{1} * |x>) * |x>{1} ]
      |y> = E{1,2}[ sin(|p>{1} * |r> + |r>{2} + s) * |p>{2} ]
      f = <w|y> * E{1}[ cos(|r>{1}) ]""",
    "a scalar expectation": """
      t = E{1,2}[ tanh(|u>{2}[0] * |p>{1} * s) * |x>{1} ]
      f = t * <1|p> + c""",
    "own index alone": """
      |y> = E{1}[ |x> * |w> + sin(|w>{1}) * |x> + s * |x> ]
      f = <w|y>""",
    "axes on copies": """
      |y> = E{1}[ tanh(|u> @ (|u>{1} * s) + |u>[0] * |w>{1}) * (|x>{1} @ c) ]
      f = <w|y> * c""",
    "nonlinear operators": """
      A = W + tanh(|x> c <x|) + s * W^T W
      |y> = A |x>
      |z> = A^T tanh(|y>)
      f = <w|z>""",
    "axes": """
      |y> = tanh(|x>^T @ [[1, 2], [3, 4], [0, 1]]) @ [1, -1]
      g = <w|x> + <y|w>
      f = [[1, 0], [2, 1], [0, 1]] @ [g * 2, g]""",
    "several outputs": """
      |y> = W tanh(|q> @ xi)
      f = <w|y> + <q|x>[:, 1]""",
    "products of scalars": """
      k = <x|x>
      z = <u|x>
      f = (z^T @ z @ k)[0] + (k^T @ (k * c))[1] + (<q|u> @ xi)[0, 1] @ (k @ c)""",
    "products of kets": """
      |y> = W (tanh(|q> @ xi) @ c)
      |b> = <q|u> @ |u>
      f = <w|y>[0] + <w|b>[1, 1] * c""",
    "diagonals of several axes": """
      f = diag(<q|u>) @ [1, 2] + diag(<u|u>)[0] * c @ c""",
    "selections": """
      |y> = W (tanh(|x>)[1] * |x>[0])
      k = <x|x>
      f = <w|y> + k[0, 1] * k[:, 2] + diag(k)""",
    "lists": """
      f = [s, <w|w>, s^2] * c + [<w|p>, s, 1]""",
    "kinks": """
      |y> = max(|x>, |w>) + leaky_relu(|x>, s) + min(|x>, c) + abs(|x>)^3
      f = <1|y>""",
    "powers": """
      |y> = (1 + |x>^2)^s
      f = <1|y> + (c^2 + 1)^0.5 / (3 - s)""",
    "log": """
      |y> = 1 / (1 + exp(-|x> / c))
      f = log(<x|x>[0] + 9) - exp(-c) * <w|w> + <1|y>""",
}


def network(text: str) -> Unrolled:
    """A core program with data of fixed size."""
    arrays = {"xi": np.random.default_rng(3).standard_normal((2, 3))}
    given = {k: LoadedArray(v, k) for k, v in arrays.items()}
    return driver.unroll(driver.compile_source(Source("p", text)), Given({}, given))


def draws(step: Unrolled, out: Node, n: int) -> dict[Key, Array]:
    """Every initial object of a program at width n."""
    rng = np.random.default_rng(5)
    found: dict[Key, Array] = {}
    for x in walk([out]):
        if x.op is Op.INIT_VECTOR and x.attr not in found:
            found[x.attr] = rng.standard_normal((*step.shape(x.type.axes), n))
        if x.op is Op.INIT_SCALAR and x.attr not in found:
            found[x.attr] = rng.standard_normal(step.shape(x.type.axes))
        if x.op is Op.MATMUL and x.attr[:2] not in found:
            found[x.attr[:2]] = rng.standard_normal((n, n)) / np.sqrt(n)
    return found


def roots(found: Gradient) -> list[Node]:
    """The nodes of a gradient."""
    several = [x for pair in found.pairs for x in pair]
    return several + [x for x in (found.ket, found.scalar) if x is not None]


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    n = 4
    step = network(f"{HEAD}\n{PROGRAMS[name]}\noutput f\n")
    [out] = step.outputs[0].members
    given = draws(step, out, n)
    seed = seed_slot(out.type.axes)
    chi = np.random.default_rng(1).standard_normal(step.shape(out.type.axes))
    found = gradients(out, seed, list(given), step.sizes)

    def loss(key: Key, moved: Array) -> float:
        [value] = AtWidth(step, {**given, key: moved}, {}, n).values([out])
        return float((chi * value).sum())

    for key, array in given.items():
        got = AtWidth(step, given, {seed: chi}, n).gradient(found[key])
        assert got.shape == array.shape
        wanted = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            ends = []
            for sign in (1, -1):
                moved = array.copy()
                moved[place] += sign * 1e-5
                ends.append(loss(key, moved))
            wanted[place] = (ends[0] - ends[1]) / 2e-5
        assert np.abs(wanted).max() > 1e-4
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-8, err_msg=str(key))


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_are_well_typed(name: str) -> None:
    step = network(f"{HEAD}\n{PROGRAMS[name]}\noutput f\n")
    [output] = step.outputs
    [out] = output.members
    leaves = {x.attr: x for x in walk([out]) if x.op in (Op.INIT_VECTOR, Op.INIT_SCALAR)}
    keys = [*leaves, *{x.attr[:2] for x in walk([out]) if x.op is Op.MATMUL}]
    seed = Node(Op.DATA, (), "chi", out.type)
    for key, found in gradients(out, seed, keys, step.sizes).items():
        assert roots(found)
        members = [build.average(x) if x.type.kind is Kind.KET else x for x in roots(found)]
        verify_unrolled(replace(step, outputs=(replace(output, members=tuple(members)),)))
        assert all(left.type == right.type for left, right in found.pairs)
        if key in leaves:
            assert roots(found)[0].type == leaves[key].type


def test_a_weight_that_the_output_does_not_depend_on() -> None:
    step = network(f"{HEAD}\nf = <w|x>\noutput f\n")
    [out] = step.outputs[0].members
    found = gradients(out, seed_slot(out.type.axes), [("W", ()), ("w", ())], step.sizes)
    assert found["W", ()] == Gradient()
    assert found["w", ()].ket is not None
    assert ("u", ()) not in found


def test_gradients_are_those_of_pytorch() -> None:
    given_data = {"xi": LoadedArray(TORCH["net.xi"], "xi")}
    program = driver.compile_source(Source("p", NETWORK))
    step = driver.unroll(program, Given({"e": 2}, given_data))
    [out] = step.outputs[0].members
    given = {(name, ()): TORCH[f"net.{name}"] for name in "uWvc"}
    seed = seed_slot(out.type.axes)
    found = gradients(out, seed, list(given), step.sizes)
    at = AtWidth(step, given, {seed: TORCH["net.chi"]}, 6)
    np.testing.assert_allclose(at.values([out])[0], TORCH["net.out"], rtol=1e-12)
    for key in given:
        wanted = TORCH[f"net.d{key[0]}"]
        np.testing.assert_allclose(at.gradient(found[key]), wanted, rtol=1e-10, atol=1e-13)
