"""What outputs and error signals of trainings exist, and what is said where that is not known."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

import nexort
from nexort.support.diagnostics import Diagnostic, NexortError

NARROW = """data x[1, 1] = [[1]]
network f(x) {{
  weight u : vector[1]
  weight v : vector
  |h> = relu(|u> @ x)
  return <v|h>
}}
train f {{
  parametrization {parametrization}
  optimizer {optimizer}
  error {error}
  steps {steps}
  {more}
}}
output {output}
"""
"""f_0 ~ N(0, 1/2) in the neural tangent limit, and f_(t+1) = f_t - 0.2 (f_t - 1)."""

DEEP = """data x[2, 2] = [[1, 0.3], [0.2, -1]]
network f(x) {{
  weight u : vector[2]
  weight W : matrix
  weight v : vector
  |h> = tanh(|u> @ x)
  |z> = W |h>
  |g> = tanh(|z>)
  return <v|g>
}}
train f {{
  parametrization {parametrization}
  optimizer sgd(lr=0.2)
  error f - [1, -1]
  steps 2
}}
|y> = {ket}
output {output}
"""

NOT_SHOWN = "existence not shown"


def narrow(
    output: str, parametrization: str = "ntp", error: str = "f - 1", steps: int = 2, more: str = ""
) -> nexort.api.TensorProgram:
    told = {"parametrization": parametrization, "error": error, "steps": steps, "more": more}
    return nexort.loads(NARROW.format(output=output, optimizer="sgd(lr=0.2)", **told))


def deep(ket: str, output: str, parametrization: str = "mup") -> nexort.api.TensorProgram:
    return nexort.loads(DEEP.format(ket=ket, output=output, parametrization=parametrization))


def refusal(p: nexort.api.TensorProgram) -> Diagnostic:
    with pytest.raises(NexortError) as problem:
        p.limit(samples=256, replicates=2)
    [told] = problem.value.diagnostics
    assert told.span is not None
    return told


# ---- functions of a random f_0 -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "code", "words"),
    [
        ("1 / f[1]^2", "not-integrable", "^(-2)"),
        ("1 / f[2]", "not-integrable", "z = -0.5625"),
        ("1 / f[0]", "not-integrable", "1/z of a Gaussian z of variance 0.5"),
        ("f[1] / f[0]", "not-integrable", "like |z|^-1"),
        ("exp(f[0]^2)", "not-integrable", "2 c Var z < 1"),
        ("exp(2 * f[0]^2)", "not-integrable", "2 c Var z < 1"),
        ("log(f[1])", "not-finite", "logarithm of a negative number"),
        ("sqrt(f[2])", "not-finite", "root of a negative number"),
    ],
)
def test_functions_of_a_random_output_are_refused(output: str, code: str, words: str) -> None:
    told = refusal(narrow(output))
    assert told.code == code
    assert words in told.message
    assert told.span is not None
    assert told.span.text == output


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("abs(f[0])^-0.5", 2.0455313442),  # 2^(-1/4) Gamma(1/4) / sqrt(pi) Var^(-1/4)
        ("log(abs(f[0]))", (np.log(0.5) - np.euler_gamma - np.log(2)) / 2),
        ("exp(f[0]^2 / 2)", np.sqrt(2)),
        ("exp(f[2])", np.exp(0.36 + 0.64**2 / 4)),
        ("f[0] / f[0]", 1.0),
        ("0 / f[0]", 0.0),
        ("(f[1] - 1) / (f[0] - 1)", 0.8),
        ("(f[2] - f[1]) / (f[0] - 1)", -0.16),
    ],
)
def test_functions_of_a_random_output_that_exist(output: str, value: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        [found] = narrow(output).limit().values()
    assert NOT_SHOWN not in found.method
    assert np.isfinite(found.error).all()
    assert_allclose(found.plain, value, rtol=1e-9, atol=1e-14)
    assert (abs(found.plain - value) <= 1e-9).all()


@pytest.mark.parametrize("output", ["f", "f[1]^2", "tanh(f[2])", "max(f[1], 0)"])
def test_tame_functions_are_means_over_draws(output: str) -> None:
    [found] = narrow(output).limit().values()
    assert NOT_SHOWN not in found.method
    assert np.isfinite(found.error).all()


@pytest.mark.parametrize(
    ("output", "error", "more", "shown"),
    [
        ("1 / f[2]", "tanh(f) - 1", "", False),
        ("f[2]", "tanh(f) - 1", "", True),
        ("exp(f[2])", "tanh(f) - 1", "", True),
        ("f[2]", "f^3 - 1", "", True),
        ("exp(f[2])", "f^3 - 1", "", False),
        ("(f[2] - 0.36) / f[0]", "f - 1", "", False),
        ("f[2]^2 / f[1]^2", "f - 1", "decay 0.1; centre", False),
        ("f[2]", "f - 1", "decay 0.1; centre", True),
        ("1 / f[1]", "f - 1", "centre", True),
    ],
)
def test_what_is_no_known_function_of_f_0(output: str, error: str, more: str, shown: bool) -> None:
    p = narrow(output, error=error, more=more)
    [found] = p.limit(samples=256, replicates=2).values()
    assert (NOT_SHOWN not in found.method) == shown


def test_the_first_step_is_a_function_of_f_0() -> None:
    """f_1 = f_0 - 0.1 / f_0 has no mean, tanh of it has."""
    told = refusal(narrow("f[1]", error="1 / f"))
    assert told.code == "not-integrable"
    assert "1/(5*z)" in told.message
    [found] = narrow("f[0]", error="1 / f").limit().values()
    assert NOT_SHOWN not in found.method


# ---- kets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("parametrization", ["mup", "ntp"])
@pytest.mark.parametrize(
    ("ket", "output", "code"),
    [
        ("1 / |z[1]>", "<1|y>", "not-integrable"),
        ("abs(|z[1]>)^-0.5", "<y|y>", "not-integrable"),
        ("1 / |g[1]>", "<1|y>", "not-integrable"),
        ("1 / |z[0]>", "<1|y>", "not-integrable"),
        ("log(|z[1]>)", "<1|y>", "not-finite"),
    ],
)
def test_kets_are_refused(parametrization: str, ket: str, output: str, code: str) -> None:
    told = refusal(deep(ket, output, parametrization))
    assert told.code == code
    assert "|y> does not exist" in told.message
    assert told.span is not None
    assert told.span.text == "|y>"


@pytest.mark.parametrize(
    ("ket", "output", "shown"),
    [
        ("1 / |h[1]>", "<1|y>", False),
        ("|z[1]> / |z[0]>", "<1|y>", False),
        ("exp(|z[1]>^2)", "<1|y>", False),
        ("abs(|z[1]>)^-0.5", "<1|y>", True),
        ("exp(|z[1]>)", "<y|y>", True),
        ("|z[1]> / (1 + |z[0]>^2)", "<y|y>", True),
        ("|z[2]>", "<y|y>", True),
    ],
)
def test_kets_of_later_steps(ket: str, output: str, shown: bool) -> None:
    [found] = deep(ket, output).limit(samples=256, replicates=2).values()
    assert (NOT_SHOWN not in found.method) == shown


def test_an_image_without_a_part_of_its_own() -> None:
    """With u at rest |z[1]> has the initial matrix at the same |h> as |z[0]>."""
    text = DEEP.format(ket="1 / |z[1]>", output="<1|y>", parametrization="mup")
    text = text.replace(
        "optimizer sgd(lr=0.2)", "optimizer sgd(lr=0) for u\n  optimizer sgd(lr=0.2)"
    )
    [found] = nexort.loads(text).limit(samples=256, replicates=2).values()
    assert NOT_SHOWN in found.method


def test_what_is_not_a_number_has_a_place() -> None:
    told = refusal(deep("log(|u[1]>)", "<1|y>"))
    assert told.code == "not-finite"
    assert "'|y>'" in told.message
    assert "log(-" in told.message


# ---- error signals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "parametrization", "words"),
    [
        ("log(f) - 1", "mup", "log(0)"),
        ("1 / f", "mup", "1 / 0"),
        ("(f - 1)^1.5", "mup", "(-1)^1.5"),
        ("log(f) - 1", "ntp", "logarithm of a negative number"),
        ("sqrt(f + 0.1) - 1", "ntp", "root of a negative number"),
    ],
)
def test_a_first_error_signal(error: str, parametrization: str, words: str) -> None:
    told = refusal(narrow("f", parametrization, error))
    assert told.code == "not-finite"
    assert words in told.message
    assert told.span is not None
    assert told.span.text == error


@pytest.mark.parametrize("parametrization", ["mup", "ntp"])
@pytest.mark.parametrize("more", ["centre", "decay 0.1; centre"])
def test_a_later_error_signal(parametrization: str, more: str) -> None:
    told: list[Diagnostic] = []
    p = narrow("f", parametrization, "1 / (t - 2) + f - 1", 4, more)
    found = p.limit(samples=256, replicates=2, warn=told.append)["f"]
    assert np.isfinite(found.plain[:3]).all()
    assert np.isnan(found.plain[3:]).all()
    [warning] = told
    assert warning.span is not None
    assert warning.span.text == "1 / (t - 2) + f - 1"
    assert warning.help is not None
    assert "division by zero" in warning.help


@pytest.mark.parametrize(("output", "words"), [("1 / f[0]", "1 / 0"), ("f[0] / f[0]", "0 / 0")])
@pytest.mark.parametrize("more", ["", "decay 0.1"])
def test_outputs_that_are_not_finite(output: str, words: str, more: str) -> None:
    told = refusal(narrow(output, "mup", more=more))
    assert told.code == "not-finite"
    assert words in told.message
    assert told.span is not None
    assert told.span.text == output


def test_growth_is_not_refused() -> None:
    """A power that leaves floating point before what it is of is no error."""
    told = {"parametrization": "mup", "error": "f - 1", "steps": 1, "more": ""}
    source = NARROW.format(output="f, f[1]^4", optimizer="sgd(lr=1e80)", **told)
    found = nexort.loads(source).limit(samples=256, replicates=2, warn=lambda _: None)
    assert np.isfinite(found["f"].plain).all()
    assert not np.isfinite(found["f[1]^4"].plain).any()


@pytest.mark.parametrize(("power", "told"), [(-0.4, False), (-0.6, True)])
def test_means_without_a_finite_variance_say_so(power: float, told: bool) -> None:
    """E |z|^(2 p) is finite for p > -1/2: z has an independent Gaussian part."""
    p = deep(f"abs(|z[2]>)^({power})", "<1|y>")
    [found] = p.limit(samples=256, replicates=2).values()
    assert NOT_SHOWN not in found.method
    assert ("finite variance not shown" in found.method) == told


def test_draws_of_f_0_without_a_finite_variance_say_so() -> None:
    """E 1 / |f|^2 over two independent directions is infinite."""
    p = deep("|g[0]>", "1 / sqrt(f[0, 0]^2 + f[0, 1]^2), sqrt(f[0, 0]^2 + f[0, 1]^2)", "ntp")
    one, size = p.limit(samples=256, replicates=2).values()
    assert "finite variance not shown" in one.method
    assert "not shown" not in size.method
