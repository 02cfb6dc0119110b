"""``nexort functions`` and the README's list."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from nexort.activations import registry
from nexort.cli.main import main
from nexort.gaussian.expectation import CLOSED, PIECEWISE
from nexort.limit.derive.listing import OPERATORS, function_rows

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
NAMES = [name for name in registry() if name not in OPERATORS]


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as done:
        main(["functions", *args])
    code = done.value.code
    assert isinstance(code, int)
    return code, *capsys.readouterr()


def test_the_readme_lists_all_functions() -> None:
    [text] = re.findall(r"\*\*Functions\*\* act.*?:\n(.*?)\.\n", README, re.DOTALL)
    assert re.findall(r"`(\w+)`", text) == NAMES


def test_the_table_has_all_functions(capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = run(capsys)
    assert code == 0
    assert [re.split(r"\W", line)[0] for line in text.splitlines()[2:]] == NAMES
    assert max(map(len, text.splitlines())) < 240


def test_a_function_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    _, text, _ = run(capsys, "relu", "hardtanh")
    assert text == (
        "relu(x) = max(x, 0)\n"
        "  d/dx: step(x)\n"
        "  not smooth at 0\n"
        "  E f(y) f(z) by closed form (Cho & Saul 2009)\n"
        "  y, z of variances p, q and covariance c:\n"
        "    E f(y) = √(p/(2 π))\n"
        "    E f(y) f(z) = 1/(2 π) (√(p q − c²) + c (π − arccos(c/√(p q))))\n"
        "    E f'(y) f'(z) = 1/(2 π) (π − arccos(c/√(p q)))\n"
        "\n"
        "hardtanh(x) = max(min(x, 1), -1)\n"
        "  d/dx: step(x + 1) * step(1 - x)\n"
        "  odd\n"
        "  not smooth at -1, 1\n"
        "  E f(y) f(z) by bivariate normal integrals (Rosenbaum 1961)\n"
        "  y, z of variances p, q and covariance c:\n"
        "    E f(y) = 0\n"
        "    E f(y) f(z) = "
        "−c + c erf(1/√(2 q)) + c erf(1/√(2 p)) + (2 + 2 c) Φ_2(−1/√p, −1/√q, c/√(p q)) − "
        "√(q/(2 π)) erfc(1/(√(2 q) √(p q − c²)) (q − c)) exp(−1/(2 q)) − √(p/(2 π)) "
        "erfc(1/(√(2 p) √(p q − c²)) (p − c)) exp(−1/(2 p)) + 1/π √(p q − c²) exp(−1/(2 "
        "p) − (p − c)²/(2 (p q − c²) p)) + (−2 + 2 c) Φ_2(−1/√p, −1/√q, −c/√(p q)) + "
        "√(q/(2 π)) erfc(1/(√(2 q) √(p q − c²)) (q + c)) exp(−1/(2 q)) + √(p/(2 π)) "
        "erfc(1/(√(2 p) √(p q − c²)) (p + c)) exp(−1/(2 p)) − 1/π √(p q − c²) exp(−1/(2 "
        "p) − (p + c)²/(2 (p q − c²) p))\n"
        "    E f'(y) f'(z) = −1 + erf(1/√(2 q)) + erf(1/√(2 p)) + 2 Φ_2(−1/√p, −1/√q, c/√(p q))"
        " + 2 Φ_2(−1/√p, −1/√q, −c/√(p q))\n"
        "    Φ_2(x, y, r) is the bivariate normal distribution function of correlation r\n"
    )


def test_json_is_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    _, text, _ = run(capsys, "--json")
    found = json.loads(text)
    assert found["schema"] == 1
    assert [f["name"] for f in found["functions"]] == NAMES
    assert [f["route"] for f in found["functions"]] == [row.route for row in function_rows()]


def test_unknown_names_get_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = run(capsys, "gelus")
    assert code == 2
    assert "did you mean 'gelu'?" in error


@pytest.mark.parametrize("row", function_rows(), ids=lambda row: row.name)
def test_what_is_listed_as_closed_has_formulas(row) -> None:  # type: ignore[no-untyped-def]
    closed = row.route in (CLOSED, PIECEWISE)
    assert closed == (row.source is not None)
    assert closed or row.square is None
    if closed and "a" not in row.arguments:
        assert None not in (row.mean, row.square, row.slope)
    negative = [np.float64(-1.0)] * len(row.arguments)
    with np.errstate(all="ignore"):
        half_line = not np.isfinite(registry()[row.name].evaluate(*negative))
    assert (row.route is None) == (half_line or row.name in ("max", "min"))
