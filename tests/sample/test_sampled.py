"""Sampled limits of whole programs: dots, copies, scalars, errors, budgets."""

from __future__ import annotations

from math import exp, pi, sqrt

import numpy as np
import pytest

import nexort
from nexort import NexortError
from nexort.report.results import Results


def limit(text: str, **options: object) -> Results:
    return nexort.loads(text).limit(exact=False, **options)  # type: ignore[arg-type]


WISHART = """
matrix W ~ N(0, 1/n)
vector v ~ N(0, 1)
|a[0]> = |v>
for k in 1..4 { |a[k]> = W^T W |a[k-1]> }
m[k] = <v|a[k]> for k in 1..4
output m
"""


def test_linear_programs_are_exact_up_to_roundoff() -> None:
    found = limit(WISHART)["m"]
    np.testing.assert_allclose(found, [1, 2, 5, 14], rtol=1e-11)
    assert (found.error < 1e-8).all()
    assert (np.abs(found - [1, 2, 5, 14]) <= found.error).all()


def test_without_dots_the_moments_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    from nexort.limit.dots import sources_of_dots
    from nexort.limit.sample import plan

    monkeypatch.setattr(
        plan, "sources_of_dots", lambda roots: dict.fromkeys(sources_of_dots(roots), ())
    )
    found = limit(WISHART)["m"]
    assert np.abs(found - [1, 2, 5, 14])[1:].min() > 0.5


def test_adjointness() -> None:
    text = """
    matrix W ~ N(0, 1/n)
    vector v ~ N(0, 1)
    |x> = tanh(W |v>)
    |y> = sin(W^T |x> + |v>)
    output <x|W|y> as left, <y|W^T|x> as right
    """
    found = limit(text)
    error = np.hypot(found["left"].error, found["right"].error)
    assert abs(found["left"] - found["right"]) < 5 * error


def test_outer_product_is_not_the_product_of_random_variables() -> None:
    text = """
    vector x, z ~ N(0, 1)
    |y> = |x> <x| (|x> + |z>)
    output <y|y> as a, <x|y> as b
    """
    found = limit(text)
    np.testing.assert_allclose([found["a"], found["b"]], 1, atol=1e-9)


def test_nonlinear_outer_product_and_its_transpose() -> None:
    text = """
    vector x, w ~ N(0, 1)
    Q = tanh(|x> 2 <w|)
    |y> = Q |w>
    |z> = Q^T |x>
    output <x|y> as a, <w|z> as b, <w|Q|x> as c
    """
    found = limit(text)
    # <x|Q w> = E x w tanh(2 x w) over independent x and w; c pairs each with the other's copy
    z, weight = np.polynomial.hermite_e.hermegauss(80)
    weight = weight / weight.sum()
    product = np.outer(z, z)
    known = weight @ (product * np.tanh(2 * product)) @ weight
    for name in "ab":
        assert abs(found[name] - known) < 5 * found[name].error + 1e-6
    assert abs(found["c"]) <= 5 * found["c"].error + 1e-12


def test_scalar_expectation_over_copies() -> None:
    text = """
    vector w ~ N(0, 1)
    s = E{1,2}[exp(-(|w>{1} - |w>{2})^2)]
    output s
    """
    found = limit(text)["s"]
    assert abs(found - 1 / sqrt(5)) < 5 * found.error


def test_copies_share_one_draw_across_kets() -> None:
    text = """
    vector w ~ N(0, 1)
    |p> = |w>^2
    |y> = E{1}[cos(|w> + |w>{1}) * |p>{1}]
    output <1|y>
    """
    found = limit(text)["<1|y>"]
    # E cos(a + b) b^2 = E cos(a) E cos(b) b^2, and E b^2 cos b = 0 for a standard normal b
    assert abs(found) < 5 * found.error + 1e-12


def test_a_vector_that_is_contracted_may_stand_on_a_copy_too() -> None:
    """As a whole, beside its products with numbers: <h|h> = 14, <y|h> over h and a copy."""
    text = """
    data c[3] = [1, 2, 3], e[3] = [1, 0.5, 0.2]
    vector u[3] ~ N(0, 1)
    |h> = |u> @ c
    |y> = E{1}[|h> + (|u>{1} @ e) * |h>{1} * |h>]
    output <y|h>, <h|h>
    """
    found = limit(text)
    # E over the copy of (u . e)(u . c) is e . c = 2.6
    np.testing.assert_allclose(found["<h|h>"], 14, rtol=1e-9)
    assert abs(found["<y|h>"] - 3.6 * 14) <= 2 * found["<y|h>"].error + 1e-9


def test_scalars_feed_back() -> None:
    text = """
    vector v ~ N(0, 1)
    |x> = relu(|v>)
    |y> = |x> / sqrt(<x|x>)
    output <y|y>, <1|y>
    """
    found = limit(text)
    assert found["<y|y>"] == pytest.approx(1, abs=1e-12)
    assert abs(found["<1|y>"] - sqrt(2 / (2 * pi))) < 5 * found["<1|y>"].error


def test_outputs_without_randomness_are_exact() -> None:
    found = limit("param a = 2\ndata x[2] = [1, 3]\ns = a * (x @ x)\noutput s")["s"]
    assert float(found) == 20
    assert found.error == 0
    assert found.method == "exact"


def test_rtol_grows_the_sample_until_it_is_met() -> None:
    text = "vector v ~ N(0, 1)\n|x> = exp(|v>)\ns = <1|x>\noutput s"
    loose, tight = limit(text, samples=64)["s"], limit(text, samples=64, rtol=1e-4)["s"]
    assert tight.error <= 1e-4 * tight < loose.error
    assert abs(tight - exp(0.5)) < 5 * tight.error


def test_a_missed_rtol_is_said() -> None:
    text = "vector v ~ N(0, 1)\n|x> = exp(|v>)\ns = <1|x>\noutput s"
    found = limit(text, samples=64, rtol=1e-9, max_samples=256)["s"]
    assert "not reached" in found.method


def test_results_depend_on_the_seed_and_not_on_threads() -> None:
    one, two = limit(WISHART + "\n", threads=1), limit(WISHART, threads=2)
    np.testing.assert_array_equal(one["m"], two["m"])
    text = "vector v ~ N(0, 1)\n|x> = exp(|v>)\ns = <1|x>\noutput s"
    assert limit(text, seed=1)["s"] != limit(text, seed=2)["s"]
    assert limit(text, threads=1)["s"] == limit(text, threads=3)["s"]


def test_a_value_that_is_not_finite_points_at_its_line() -> None:
    with pytest.raises(NexortError, match="not-finite") as caught:
        limit("vector v ~ N(0, 1)\n|x> = log(|v>)\ns = <x|x>\noutput s")
    assert caught.value.diagnostics[0].span.text == "|x>"  # type: ignore[union-attr]


def test_an_indefinite_covariance_is_an_error() -> None:
    with pytest.raises(NexortError, match="not-positive"):
        limit("vector (u, v) ~ N(0, [[1, 2], [2, 1]])\noutput <u|v>")


def test_the_sample_fits_into_the_memory() -> None:
    text = "vector u[50] ~ N(0, 1)\n|x> = relu(|u>)\noutput <x|x> as s"
    found = limit(text, memory=4 * 2**20, threads=1)["s"]
    points = int(found.method.split("x ")[1].split(" ")[0])
    assert 64 <= points < 4096
    with pytest.raises(NexortError, match="memory-limit"):
        limit(text, memory=4 * 2**20, samples=2**14)
    with pytest.raises(NexortError, match="memory-limit"):
        limit(text, memory=2**16)


@pytest.mark.slow
def test_reported_errors_cover_the_truth() -> None:
    """Over the programs with a known answer and 20 seeds each, the truth lies within two reported
    standard errors in 90 to 99 % of the sampled entries."""
    from pathlib import Path

    from answers import ANSWERS, DATA

    programs = Path(__file__).parents[2] / "programs"
    inside = total = 0
    for name, answer in ANSWERS.items():
        program = nexort.load(programs / f"{name}.nxt")
        if program.program.training is not None or name == "adafactor":
            continue  # these answers are samples themselves
        known = {k: np.asarray(v, dtype=float) for k, v in answer().items()}
        for seed in range(20):
            samples = 256 if name.startswith("outer") else 1024
            found = program.limit(seed=seed, samples=samples, data=DATA.get(name), exact=False)
            for output, truth in known.items():
                value, error = np.asarray(found[output]), np.asarray(found[output].error)
                # entries that are exact up to roundoff are not draws
                sampled = np.isfinite(truth) & (error > 1e-8 * np.abs(value).max())
                hits = np.abs(value - truth)[sampled] <= 2 * error[sampled]
                inside, total = inside + hits.sum(), total + hits.size
    assert total > 1000
    assert 0.90 <= inside / total <= 0.99, inside / total
