"""Functions that are singular where a difference is 0, against quadrature in 30 digits."""

from __future__ import annotations

import pytest

import nexort


def mean(f: str) -> nexort.report.results.Estimate:
    text = f"vector z ~ N(0, 1)\n|f> = {f.replace('$', '|z>')}\noutput <1|f>"
    [found] = nexort.loads(text).limit().values()
    return found


@pytest.mark.parametrize(
    ("f", "value"),
    [
        ("log(abs(exp($) - 1))", -0.5944829885),
        ("log(1 - gauss($))", -2.184009470268),
        ("(1 - gauss($))^(-0.4)", 5.474653609337673),
        ("log(9 * $^2 - 6 * $ + 1)", 1.035945353635),
        ("log(abs($^3 - 3 * $ + 2))", 0.1033602242),
        ("abs($^2 - 2 * $ + 1)^(-0.3)", 1.590707026609),
    ],
)
def test_arguments_of_singular_functions_have_all_digits(f: str, value: float) -> None:
    found = mean(f)
    assert "sampled" not in found.method
    assert abs(float(found) - value) < float(found.error) + 1e-9


@pytest.mark.parametrize(
    ("expanded", "product"),
    [
        ("log(abs($^2 - 0.60001 * $ + 0.090003))", "log(abs($ - 0.3)) + log(abs($ - 0.30001))"),
        ("log(abs($^4 - 1/16))", "log(abs($ - 0.5)) + log(abs($ + 0.5)) + log($^2 + 0.25)"),
        ("abs($^2 - 2 * $ + 1)^(-0.4)", "abs($ - 1)^(-0.8)"),
    ],
)
def test_polynomials_and_their_factors(expanded: str, product: str) -> None:
    first, second = mean(expanded), mean(product)
    assert abs(float(first) - float(second)) < 3 * float(first.error + second.error)
    assert float(first.error) < 1e-4


def test_what_floats_do_not_find_is_sampled() -> None:
    f, value = "log($^2 - 2/3 * $ + 1/9) + 2 * log(3)", 1.035945353635
    assert abs(float(mean(f)) - value) < 0.1
    text = "vector z ~ N(0, 1)\nmatrix W ~ N(0, 1/n)\n|y> = W |z>\n"
    text += f"|f> = {f.replace('$', '|y>')}\nm = <1|f>\noutput m^2, <y|y>"
    square, norm = nexort.loads(text).limit().values()
    assert abs(float(square) - value**2) < 0.2
    assert float(norm) == 1


def test_what_floats_lose_everywhere_is_part_of_the_error() -> None:
    """log |w^5 - 1e-14|, w = z - 1, by quadrature in 40 digits."""
    f = "log(abs($^5 - 5 * $^4 + 10 * $^3 - 10 * $^2 + 5 * $ - 1.00000000000001))"
    found = mean(f)
    assert abs(float(found) + 1.03877042470056) < 2 * float(found.error) < 1e-3
