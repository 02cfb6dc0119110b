"""Values that do not exist are refused, with the place and the true integrand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nexort
from nexort import NexortError

CASES = Path(__file__).parent
VECTORS = "vector v, w ~ N(0, 1)\nmatrix W ~ N(0, 1/n)\n"


def refusal(p: nexort.api.TensorProgram, *, exact: bool = True) -> NexortError:
    with pytest.raises(NexortError) as caught:
        p.limit(exact=exact)
    assert all(d.span is not None for d in caught.value.diagnostics)
    return caught.value


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("diverge-reciprocal", ["1/z of a Gaussian", "z^(-2)"]),
        ("diverge-reciprocal-product", ["1/(z_1*z_2)", "1/(z_1^2*z_2^2)"]),
        ("diverge-inverse-root", ["1/Abs(z)", "square of |y>"]),
        ("diverge-message", ["exp(z^2/2)", "square of |y>", "2 c Var z < 1"]),
        ("diverge-zero-over-zero", ["root of a negative number"]),
    ],
)
def test_cases(name: str, words: list[str]) -> None:
    p = nexort.load(CASES / f"{name}.nxt")
    for exact in (True, False):
        text = str(refusal(p, exact=exact))
        assert all(word in text for word in words)
    for derived in (p.derive, p.emit):
        with pytest.raises(NexortError, match="does not exist"):
            derived()


def test_overflow_is_refused() -> None:
    p = nexort.load(CASES / "derive-overflow.nxt")
    for derived in (p.derive, p.emit):
        with pytest.raises(NexortError, match="range of floating point"):
            derived()
    with pytest.raises(NexortError, match="range of floating point"):
        nexort.loads("vector w ~ N(0, 1)\n|y> = 1e-200 * |w>\noutput <y|y>").derive()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("c = <v|v> - <v|v>\nd = 0 / c\noutput d", "d = 0 / c"),
        ("c = <v|v> - <v|v>\nd = 0 * (1 / c)\noutput d", "d = 0"),
        ("d = sqrt(<v|w> - 1)\noutput d", "d = sqrt"),
        ("d = log(<v|w>)\noutput <v|v> * (0 * d)", "d = log"),
        ("c = 0\nd = 0 / c\noutput d", "d = 0 / c"),
        ("|x> = |v> / <v|w>\n|y> = 0 * |x>\noutput <w|y>", "|x>"),
        ("|x> = 0 * sqrt(|v>)\noutput <1|x>", "root of a negative number"),
        ("|x> = W exp(exp(|v>))\noutput <w|x>", "faster than every"),
        ("|x> = 1 / (W tanh(|v>))\noutput <1|x>", "|z|^-1"),
        ("|x> = 1 / (|v> - |w>)\noutput <v|x>", "-1"),
        ("|x> = 1 / (1 - |v>^2)\noutput <1|x>", "z = -1"),
        ("|x> = |v> / relu(|w>)\noutput <1|x>", "division by 0"),
        ("|x> = 1 / E{1}[1 / |v>{1} * |w>]\noutput <1|x>", "iid copies"),
    ],
)
def test_refused(body: str, words: str) -> None:
    assert words in str(refusal(nexort.loads(VECTORS + body)))


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("|x> = abs(|v>)^(-1/2)\noutput <1|x>", 1.720079974),
        ("|x> = 1 / |v>\noutput <v|x>", 1.0),
        ("|x> = log(abs(|v>))\noutput <1|x>", -(np.euler_gamma + np.log(2)) / 2),
        ("|x> = log(abs(|v>))\noutput <x|x>", np.pi**2 / 8 + (np.euler_gamma + np.log(2)) ** 2 / 4),
        ("|x> = exp(|v>^2 / 4)\noutput <1|x>", np.sqrt(2)),
        ("|x> = |v> / sqrt(<v|v>)\noutput <x|x>", 1.0),
        ("|x> = 0 * (1 / |v>)\noutput <1|x>", 0.0),
    ],
)
def test_exists(body: str, value: float) -> None:
    found = nexort.loads(VECTORS + body).limit()
    [estimate] = found.values()
    assert "sampled" not in estimate.method
    assert float(estimate) == pytest.approx(value, rel=1e-8, abs=1e-12)


def test_what_is_not_shown_says_so() -> None:
    body = "|x> = abs(max(|v>, |w>))^(-1/3)\noutput <1|x>"
    [estimate] = nexort.loads(VECTORS + body).limit().values()
    assert estimate.method.endswith("existence not shown")


def test_derivations_of_data_that_may_be_anything() -> None:
    """Batch statistics: that no data are given is no reason to refuse."""
    p = nexort.load(CASES / "good" / "kernel-batchnorm.nxt")
    assert p.derive() is not None


# ---- trainings and kernels -----------------------------------------------------------------------

TRAINING = """fn phi(z) = {phi}
dim d, M
data xi[d, M] = [[0.6, 1.4], [-0.3, 0.5]]
data y[M] = [0.7, -0.4]
network f(xi) {{
  weight u : vector[d]
  weight W : matrix
  weight v : vector
  |h> = |u> @ xi
  |x> = {body}
  return <v|x>
}}
train f {{
  parametrization {parametrization}
  optimizer {optimizer}
  error f - y
  steps 2
  centre
}}
output f
"""

WIDE, NARROW = "W phi(|h>)", "phi(W |h>)"
"""A matrix that acts on phi, and one below it."""


def trained(
    phi: str, body: str, parametrization: str = "mup", optimizer: str = "sgd(lr=0.1)"
) -> nexort.api.TensorProgram:
    return nexort.loads(
        TRAINING.format(phi=phi, body=body, parametrization=parametrization, optimizer=optimizer)
    )


@pytest.mark.parametrize("parametrization", ["mup", "ntp"])
@pytest.mark.parametrize(
    ("phi", "body", "words"),
    [
        ("1 / z", WIDE, ["W acts on |x>", "z^(-2)"]),
        ("1 / z", NARROW, ["product of v and |x>", "z_1/z_2"]),
        ("exp(z^2)", WIDE, ["<x|x> of it", "exp(2*z^2)"]),
        ("log(z)", NARROW, ["logarithm of a negative number"]),
        ("sqrt(abs(z))", NARROW, ["in the gradient by 'u'", "W^T acts on", "Abs(z_2)"]),
    ],
)
def test_training_is_refused(parametrization: str, phi: str, body: str, words: list[str]) -> None:
    p = trained(phi, body, parametrization)
    told = refusal(p)
    assert "does not exist" in str(told)
    assert all(word in str(told) for word in words)
    for other in (p.expand, p.derive):
        with pytest.raises(NexortError, match="does not exist"):
            other()


def test_gradients() -> None:
    """Of one layer: the tangent kernel takes <g|g> of the gradient g by u, here E 1/|z|; what else
    is made of g may exist."""
    layer = TRAINING.replace("  weight W : matrix\n", "").format
    told = {"phi": "sqrt(abs(z))", "body": "phi(|h>)"}
    linear, adam = "sgd(lr=0.1)", "adam(lr=0.1)"
    p = nexort.loads(layer(parametrization="ntp", optimizer=linear, **told))
    assert "in the gradient by 'u'" in str(refusal(p))
    for parametrization, optimizer in (("mup", linear), ("mup", adam), ("ntp", adam)):
        p = nexort.loads(layer(parametrization=parametrization, optimizer=optimizer, **told))
        assert "existence not shown" in p.limit(samples=256, replicates=2)["f"].method


@pytest.mark.parametrize("parametrization", ["mup", "ntp"])
@pytest.mark.parametrize("phi", ["z / sqrt(1 + z^2)", "exp(-z^2)", "gelu(z)", "log(1 + z^2)"])
def test_training_exists(parametrization: str, phi: str) -> None:
    p = trained(phi, WIDE, parametrization)
    found = p.limit(samples=256, replicates=2)["f"]
    assert np.isfinite(found).all()
    assert "existence" not in found.method


def test_kernel_is_refused() -> None:
    text = "fn phi(z) = {}\ndim d, M\ndata xi[d, M]\nvector u[d] ~ N(0, 1)\n"
    text += "|x> = phi(|u> @ xi)\noutput <x|x> as k"
    xi = np.array([[0.6, 1.4, 0.0], [-0.3, 0.5, 0.2]])
    for second in (None, xi[:, :2]):
        with pytest.raises(NexortError, match="does not exist"):
            nexort.loads(text.format("1 / z")).kernel(xi, second)
    assert "existence" not in nexort.loads(text.format("tanh(z)")).kernel(xi).methods["k"]


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("p", "q", "law"),
    [
        (0.3, -0.4, (1.75, 1.75, 1.75)),
        (0.3, -0.4, (1.75, 1.0, 0.5)),
        (0.3, -0.4, (1.75, 1.0, -1.2)),
        (0.6, -1.0, (1.0, 2.0, 1.2)),
        (0.6, -5.0, (1.0, 1.0, 0.9999)),
        (0.3, -0.4, (1.75, 1.75, 0.2)),
        (0.3, 0.1, (1.0, 1.0, 0.5)),
        (0.3, 0.3, (1.0, 1.0, 0.9)),
    ],
)
def test_growth_is_weighed_against_what_falls(
    p: float, q: float, law: tuple[float, float, float], swapped: bool
) -> None:
    """E exp(p x^2) exp(q y^2) = det(1 - 2 diag(p, q) Sigma)^(-1/2) where the eigenvalues are
    positive, whether or not each factor has an expectation of its own."""
    a, b, c = law
    rest = max(b - c * c / a, 0.0)
    other = f"{c / a!r} |x>" + (f" + {rest**0.5!r} |u>" if rest > 1e-12 else "")
    out = "<g|f>" if swapped else "<f|g>"
    text = (
        f"vector x ~ N(0, {a})\nvector u ~ N(0, 1)\n|y> = {other}\n"
        f"|f> = exp({p} |x>^2)\n|g> = exp({q} |y>^2)\noutput {out}"
    )
    sigma = np.array([[a, c], [c, b]])
    eigenvalues = np.linalg.eigvals(np.eye(2) - 2 * np.diag([p, q]) @ sigma)
    program = nexort.loads(text)
    if eigenvalues.min() <= 0:
        with pytest.raises(NexortError, match="does not exist"):
            program.limit()
        return
    found = program.limit()[out]
    wanted = np.prod(eigenvalues) ** -0.5
    assert abs(float(found) - wanted) <= found.error <= 1e-5 * wanted


@pytest.mark.parametrize(("rate", "wanted"), [(0.3, 0.883574262515713), (0.49, 6.27963509408068),
                                              (0.4999, 69.9128591698992)])  # fmt: skip
def test_slowly_falling_integrands_have_honest_errors(rate: float, wanted: float) -> None:
    """Values by mpmath to 15 digits, where floating point overflows before the density ends."""
    text = f"vector z ~ N(0, 1)\n|a> = tanh(|z>)^2 * exp({rate} |z>^2)\noutput <1|a>"
    found = nexort.loads(text).limit()["<1|a>"]
    assert abs(float(found) - wanted) <= found.error
