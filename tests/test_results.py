"""Estimates, their texts and files."""

from __future__ import annotations

import copy
import json
import math
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexort.report.results import Estimate, Results, grid_labels, results_text, save_runs, uncertain
from nexort.report.results.numbers import without_error
from nexort.support.diagnostics import NexortError


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (14.00213, 0.0035, "14.0021 ± 0.0035"),
        (14.0, 0, "14"),
        (1 / 3, 0, "0.3333333333"),
        (0.3, 0.0996, "0.30 ± 0.10"),
        (9.9996, 0.00999, "10.000 ± 0.010"),
        (12345, 230, "12340 ± 230"),
        (3e-4, 0.012, "0.000 ± 0.012"),
        (-1e-9, 0.01, "0.000 ± 0.010"),
        (-0.0, 0, "0"),
        (0, 0.5, "0.00 ± 0.50"),
        (1.2342e-8, 2.3e-10, "(1.234 ± 0.023)e-08"),
        (1.23e12, 4e9, "(1.2300 ± 0.0040)e+12"),
        (1.2345678901234, 3e-11, "1.234567890123 ± 0.000000000030"),
        (1.2345678901234, 3e-13, "1.23456789"),
        (math.nan, 0.1, "nan"),
        (math.inf, 0.1, "inf"),
        (1, math.nan, "1 ± ?"),
        (1, math.inf, "1 ± inf"),
    ],
)
def test_uncertain(value: float, error: float, text: str) -> None:
    assert uncertain(value, error) == text


@given(st.floats(-1e300, 1e300), st.floats(0, 1e300))
def test_uncertain_keeps_the_value(value: float, error: float) -> None:
    text = uncertain(value, error)
    if text.startswith("("):
        mantissa, _, exponent = text.partition(")")
        shown = float(mantissa[1:].partition(" ± ")[0]) * float("1" + exponent)
    else:
        shown = float(text.partition(" ± ")[0])
    assert abs(shown - value) <= 0.06 * error + 1e-9 * abs(value)


@given(st.floats(-1e300, 1e300), st.floats(0, 1e300))
def test_values_alone_have_no_bracket(value: float, error: float) -> None:
    text = without_error(uncertain(value, error))
    assert abs(float(text) - value) <= 0.06 * error + 1e-9 * abs(value)


@pytest.fixture
def matrix() -> Estimate:
    return Estimate([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [0.1, 0.2, 0.3], "sampled", "k")


def test_estimate(matrix: Estimate) -> None:
    assert matrix.error.shape == (2, 3)
    assert (matrix.method, matrix.name) == ("sampled", "k")
    np.testing.assert_array_equal(Estimate(2).error, 0)
    np.testing.assert_array_equal(matrix, [[1, 2, 3], [4, 5, 6]])
    for array in (matrix, matrix.error):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1
    with pytest.raises(ValueError, match="labels"):
        Estimate([1, 2], labels=[[1]])


@pytest.mark.parametrize(
    "part",
    [
        lambda a: a[1],
        lambda a: a[1, 2],
        lambda a: a[:, ::2],
        lambda a: a[..., None],
        lambda a: a[[1, 0]],
        lambda a: a[np.array([[True, False, True]] * 2)],
        lambda a: a.T,
        lambda a: a.transpose(1, 0),
        lambda a: a.reshape(3, 2),
        lambda a: a.reshape((6,)),
        lambda a: a.ravel(),
        lambda a: a.flatten(),
        lambda a: a[:1].squeeze(),
        lambda a: a.copy(),
    ],
)
def test_parts_keep_errors(matrix: Estimate, part) -> None:
    found = part(matrix)
    assert isinstance(found, Estimate)
    np.testing.assert_array_equal(found, part(np.array(matrix)))
    np.testing.assert_array_equal(found.error, part(matrix.error))
    assert found.method == "sampled"


def test_iteration_keeps_errors(matrix: Estimate) -> None:
    assert [row.error[0] for row in matrix] == [0.1, 0.1]


@pytest.mark.parametrize(
    "operation",
    [
        lambda a: a + 1,
        lambda a: 2 * a,
        lambda a: a @ a.T,
        lambda a: np.dot(a, a.T),
        lambda a: a.dot(np.ones(3)),
        lambda a: -a,
        lambda a: a.sum(axis=0),
        lambda a: a.mean(axis=1),
        np.sqrt,
        lambda a: np.concatenate([a, a]),
        lambda a: np.sort(a, axis=0),
        lambda a: np.linalg.eigvalsh(a @ a.T),
        lambda a: np.median(a, axis=0),
        lambda a: a == 1,
        lambda a: a.astype(int),
        np.array,
    ],
)
def test_arithmetic_is_plain(matrix: Estimate, operation) -> None:
    found = operation(matrix)
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, operation(np.array(matrix)))


def test_copies(matrix: Estimate) -> None:
    matrix.runs = np.zeros((2, 2, 3))
    for made in (
        copy.copy(matrix),
        copy.deepcopy(matrix),
        pickle.loads(pickle.dumps(matrix)),
    ):
        assert type(made) is Estimate
        np.testing.assert_array_equal(made, matrix)
        np.testing.assert_array_equal(made.error, matrix.error)
        assert (made.method, made.name, made.labels) == ("sampled", "k", ())
        assert made.runs is not None
        assert not made.flags.writeable


def test_scalars() -> None:
    found = Estimate(14.00213, 0.0035, "exact", "m")
    assert float(found) == 14.00213
    assert f"{found:.2f}" == "14.00"
    assert f"{found}" == "m = 14.0021 ± 0.0035"
    assert repr(found) == "m = 14.0021 ± 0.0035  (exact)"
    assert math.isnan(found.view().error)


def test_labels() -> None:
    family = Estimate([1, 2, 5, 14], 0, name="m", labels=[[1, 2, 3, 4]])
    assert str(family[1:]) == "m[2] =  2\nm[3] =  5\nm[4] = 14"
    assert str(family[-1]) == "m[4] = 14"
    assert family[[0, 2]].labels == ()
    grid = Estimate(
        np.zeros((2, 2, 3)), labels=grid_labels([(1, 5), (1, 7), (2, 5), (2, 7)], (2, 2))
    )
    assert grid.labels == ((1, 2), (5, 7))
    assert grid[:, 1].labels == ((1, 2),)
    assert grid[1].labels == ((5, 7),)


def results() -> Results:
    rng = np.random.default_rng(0)
    big = Estimate(rng.normal(size=(30, 30)), 0.0123, "sampled: 16 x 4096 points")
    return Results(
        {
            "s": Estimate(14.00213, 0.0035, "sampled: 16 x 4096 points"),
            "m": Estimate([1, 2.001, 5.02, 14.3], [0, 0.0012, 0.01, 0.12], labels=[[1, 2, 3, 4]]),
            "k": Estimate([[1, 0.5], [0.5, 1]], 0.002, "sampled: 16 x 4096 points"),
            "big": big,
            "long": Estimate(np.arange(40.0)),
            "blocks": Estimate(np.zeros((7, 2, 2)), labels=[range(1, 8)]),
        }
    )


def test_render() -> None:
    text = results_text(results())
    assert text == repr(results())
    expected = """\
s = 14.0021 ± 0.0035

m[1] =  1
m[2] =  2.0010 ± 0.0012
m[3] =  5.020  ± 0.010
m[4] = 14.30   ± 0.12

k (2 x 2)
                   0                1
  0  1.0000 ± 0.0020  0.5000 ± 0.0020
  1  0.5000 ± 0.0020  1.0000 ± 0.0020

big (30 x 30, abbreviated; errors up to 0.012)
"""
    assert text.startswith(expected)
    assert "… 16 more entries of long" in text
    assert "… 3 more matrices of blocks" in text
    assert "blocks[4] (2 x 2)" in text
    assert text.endswith("\n(sampled: 16 x 4096 points) s, k, big\n(exact) m, long, blocks")
    assert max(map(len, text.splitlines())) <= 100


def test_render_plain_scalars() -> None:
    scalars = Results({"a": Estimate(1), "bc": Estimate(2.5)})
    assert results_text(scalars) == "a = 1\nbc = 2.5\n(exact)"
    assert results_text({}) == ""


def test_html() -> None:
    text = results()._repr_html_()
    assert "14.0021 ± 0.0035" in text
    assert "abbreviated" in text
    assert text.count("<table>") == text.count("</table>")
    assert "&lt;x|x&gt;" in Results({"<x|x>": Estimate(1)})._repr_html_()
    assert "14 ± " not in Estimate(14, name="m")._repr_html_()


def test_json(tmp_path: Path) -> None:
    found = Results({"x": Estimate([1.5, math.nan], [0, math.inf], "sampled")})
    expected = {"x": {"value": [1.5, None], "error": [0, None], "method": "sampled"}}
    assert found.as_json() == expected
    assert Results({"s": Estimate(2)}).as_json()["s"]["value"] == 2
    found.save(tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text()) == {"schema": 1, **expected}


def test_npz(tmp_path: Path) -> None:
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    found = Results({"file": Estimate([1, 2], 0.5), "<x|x>": Estimate(3)})
    for path in paths:
        found.save(path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with np.load(paths[0]) as saved:
        assert set(saved) == {"file", "file.error", "<x|x>", "<x|x>.error"}
        np.testing.assert_array_equal(saved["file.error"], 0.5)
    save_runs(paths[1], {64: {"f": np.zeros((3, 2))}, 128: {"f": np.ones((3, 2))}})
    with np.load(paths[1]) as saved:
        assert saved["f.n128"].shape == (3, 2)


def test_unwritable(tmp_path: Path) -> None:
    for path in (tmp_path / "x.txt", tmp_path / "no" / "x.npz", tmp_path / "no" / "x.json"):
        with pytest.raises(NexortError, match=r"expected \.npz or \.json|cannot be written"):
            results().save(path)


def test_imports_are_light() -> None:
    code = "import sys, nexort.data, nexort.report.results, nexort.report.compare;"
    code += "assert not {'scipy', 'matplotlib', 'sympy', 'lark'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
