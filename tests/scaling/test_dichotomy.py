"""Slices of the space of parametrizations."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from networks import NETWORKS, PERCEPTRON, network

from nexort.cli import main
from nexort.parametrization import spaces
from nexort.parametrization.layers import Table, named_table, perceptron
from nexort.parametrization.slices import Slice, take_slice
from nexort.parametrization.theorem import table_verdict
from nexort.support.diagnostics import NexortError

F = Fraction
BOX = ((F(-1), F(2)), (F(-1), F(2)))


def slice_of(x: str, y: str, optimizer: str | None = None, base: str = "mup") -> Slice:
    """A slice of the perceptron with two hidden layers."""
    space = spaces.of_perceptron(2, base, optimizer, None)
    return take_slice(space, x, y, BOX, 4, spaces.MARKS)


def test_the_polyhedron_over_r_and_s() -> None:
    """With A + c = 1: stable where r >= 0, S >= 1/2 and r + S >= 1; faithful where b <= c, that is
    S <= 1; muP is its one point with r = 0, NTP the other end of the edge of UP_s."""
    found = slice_of("r", "S")
    for y in found.ys:
        for x in found.xs:
            if x < 0 or y < F(1, 2) or x + y < 1:
                expected = "unstable"
            elif y > 1:
                expected = "unfaithful"
            else:
                expected = "feature learning" if x == 0 else "operator regime"
            assert found.verdict(x, y) == expected, (x, y)
    where = {m.name: (m.x, m.y, m.inside) for m in found.marks}
    assert where["mup"] == (0, 1, True)
    assert where["ntp"] == (F(1, 2), F(1, 2), True)
    assert where["sp"] == (-1, F(1, 2), False)
    for k in range(9):
        s = F(k, 16)
        assert where[f"ups({s})"] == (s, 1 - s, True)


def test_features_are_learned_on_faces() -> None:
    """r is the smaller of c_1 and c_2 - 1: 0 on two edges that meet in muP."""
    found = slice_of("vector.c", "matrix.c")
    for y in found.ys:
        for x in found.xs:
            r = min(x, y - 1)
            expected = "unstable" if r < 0 else "operator regime" if r else "feature learning"
            assert found.verdict(x, y) == expected
    marks = {m.name: m.inside for m in found.marks}
    assert marks["mup"]
    assert not marks["ntp"]
    assert not marks["sp"]


@pytest.mark.parametrize("optimizer", [None, "sgd", "adam(eps=0)"])
def test_the_plane_through_three_parametrizations(optimizer: str | None) -> None:
    found = slice_of("ntp", "sp", optimizer)
    where = {m.name: (m.x, m.y, m.inside) for m in found.marks}
    assert where["mup"] == (0, 0, True)
    assert where["ntp"] == (1, 0, True)
    assert where["sp"] == (0, 1, True)
    assert where["ups(1/4)"] == (F(1, 2), 0, True)
    layers = spaces.of_perceptron(2, "mup", optimizer, None).base.layers
    for name, point in (("mup", (F(0), F(0))), ("ntp", (F(1), F(0))), ("sp", (F(0), F(1)))):
        assert found.verdict(*point) == table_verdict(named_table(name, layers))


@pytest.mark.parametrize(("x", "y"), [("2.c", "3.b"), ("r", "3.a"), ("sp", "1.d"), ("S", "2.b")])
def test_points_are_those_of_single_tables(x: str, y: str) -> None:
    """The affine tables of a whole slice, against a table written out for some points."""
    from nexort.parametrization.slices import _Place

    space = spaces.of_perceptron(2, "ntp", None, None)
    found = take_slice(space, x, y, BOX, 3, ())
    place = _Place(space, x, y)
    for v in found.ys[::3]:
        for u in found.xs[::3]:
            assert found.verdict(u, v) == table_verdict(place.table(u, v))


def test_a_slice_of_a_program_is_counted() -> None:
    mlp = network(PERCEPTRON.replace("PHI", "tanh"))
    counted = take_slice(spaces.tables_of_subject(mlp, "mup"), "r", "S", BOX, 4, ())
    assert (counted.codes == slice_of("r", "S").codes).all()
    tied = network(NETWORKS["tied"])
    by_weight = take_slice(
        spaces.tables_of_subject(tied, "mup"), "W.c", "u.c", BOX, 4, spaces.MARKS
    )
    assert by_weight.verdict(F(1), F(0)) == "feature learning"
    assert by_weight.verdict(F(3, 4), F(0)) == "unstable"
    assert by_weight.verdict(F(3, 2), F(1, 2)) == "operator regime"


def test_unknown_coordinates() -> None:
    for name in ("W.c", "2.e", "2", "R", "2.ab"):
        with pytest.raises(NexortError) as caught:
            slice_of(name, "S")
        assert caught.value.diagnostics[0].code == "unknown-name"


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*args: str) -> str:
        with pytest.raises(SystemExit) as exit_:
            main(["dichotomy", *args])
        assert exit_.value.code == 0
        return capsys.readouterr().out

    shown = run("--x", "r", "--y", "S", "--y-range", "0:3/2", "--steps", "4")
    assert "  1 . . . . F o o o o" in shown
    assert "NTP: (1/2, 1/2)" in shown
    [first, *_] = json.loads(run("--json"))
    assert first["x"] == "r"
    assert {"unstable", "feature learning", "operator regime"} <= {
        v for row in first["verdicts"] for v in row
    }
    for suffix in ("png", "svg", "pdf"):
        path = tmp_path / f"picture.{suffix}"
        assert run("--plot", str(path), "--steps", "8", "--optimizer", "sgd") == ""
        first_bytes = path.read_bytes()
        run("--plot", str(path), "--steps", "8", "--optimizer", "sgd")
        assert path.read_bytes() == first_bytes


def test_tables_of_regimes_are_those_of_programs() -> None:
    mlp = network(PERCEPTRON.replace("PHI", "tanh"))
    space = spaces.tables_of_subject(mlp, "mup")
    for name, table in spaces.of_perceptron(2, "mup", None, None).regimes.items():
        found = space.regimes[name]
        moved = Table(perceptron(2), found.exponents, found.out)
        assert table_verdict(moved) == table_verdict(table)
