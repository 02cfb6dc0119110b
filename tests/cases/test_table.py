"""Scaling tables: one readout a product, the values that constants start at, no bad table in
silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nexort.cli import main

HERE = Path(__file__).parent


def run(capsys: pytest.CaptureFixture[str], path: Path, *args: str) -> tuple[int, str]:
    """The exit code and the output of ``nexort scaling``."""
    with pytest.raises(SystemExit) as exit_:
        main(["scaling", str(path), *args])
    assert isinstance(exit_.value.code, int)
    return exit_.value.code, capsys.readouterr().out


def tensors(capsys: pytest.CaptureFixture[str], path: Path, *args: str) -> dict[str, Any]:
    """The rows of a table that is good."""
    code, shown = run(capsys, path, "--format", "json", *args)
    found = json.loads(shown)
    assert code == 0
    assert found["verdict"] in ("feature learning", "operator regime")
    return {row["tensor"]: row for row in found["tensors"]}


@pytest.mark.parametrize("regime", ["mup", "ntp", "ups(1/4)"])
def test_a_gain_in_the_return(capsys: pytest.CaptureFixture[str], regime: str) -> None:
    """|head> * |gain> * |nx> has one multiplier, as <head|z> with |z> = |gain> * |nx>."""
    inside = tensors(capsys, HERE / "table-gain-in-return.nxt", "--regime", regime)
    named = tensors(capsys, HERE / "table-gain-init.nxt", "--regime", regime)
    assert inside == named
    assert (inside["gain"]["part"], inside["head"]["part"]) == ("vector", "readout")
    if regime == "mup":
        assert inside["gain"]["powers"]["multiplier"] == "0"
        assert inside["head"]["powers"]["multiplier"] == "-1"


@pytest.mark.parametrize(
    "returned", ["<head|z>", "|head> * |z>", "|z> * |head>", "<z|head>", "|s>", "|gain> * |s0>"]
)
def test_readouts_are_factors_of_the_output_under_any_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, returned: str
) -> None:
    text = (HERE / "table-gain-init.nxt").read_text("utf-8")
    lines = "|s> = |head> * |z>\n  |s0> = |head> * |nx>\n  "
    path = tmp_path / "other.nxt"
    path.write_text(text.replace("return <head|z>", f"{lines}return {returned}"), "utf-8")
    wanted = tensors(capsys, HERE / "table-gain-init.nxt")
    assert tensors(capsys, path) == wanted


def test_readouts_do_not_depend_on_the_order_of_weights(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The embedding is a factor of f too, but a norm reads it."""
    weights = ["emb : vector[d]", "gain : vector ~ N(1, 0)", "head : vector"]
    text = """dim d, M
data xi[d, M]
network f(xi) {
  WEIGHTS
  |h> = |emb> @ xi
  |y> = |h> / sqrt(diag(<h|h>) + 0.01)
  |z> = |y> * |gain>
  return <head|z>
}
"""
    found = []
    for order in (weights, weights[::-1]):
        path = tmp_path / "ordered.nxt"
        path.write_text(text.replace("WEIGHTS", "\n  ".join(f"weight {w}" for w in order)), "utf-8")
        rows = tensors(capsys, path)
        assert {name for name, row in rows.items() if row["part"] == "readout"} == {"head"}
        found.append(rows)
    assert found[0] == found[1]


def test_what_gains_start_at(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, shown = run(capsys, HERE / "table-gain-init.nxt")
    assert code == 0
    [gain] = [line for line in shown.splitlines() if line.startswith("gain")]
    assert "1 (constant)" in gain
    path = tmp_path / "other.nxt"
    text = (HERE / "table-gain-init.nxt").read_text("utf-8")
    for law, start in (("N(1, 0.01)", "mean 1, std 0.1"), ("N(0.5, 0)", "0.5 (constant)"),
                       ("N(0, 0)", "0 (constant)")):  # fmt: skip
        path.write_text(text.replace("N(1, 0)", law), "utf-8")
        assert start in run(capsys, path)[1]


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "json"])
def test_a_bad_table_is_announced(capsys: pytest.CaptureFixture[str], form: str) -> None:
    code, shown = run(capsys, HERE / "table-lora.nxt", "--format", form)
    assert code == 1
    first = shown.split("tensor")[0]
    assert "do not use this table" in first
    assert "b of A from 0 to -1/2" in first


def test_a_programs_own_exponents(capsys: pytest.CaptureFixture[str]) -> None:
    """W = n^1/2 w with b = 1, c = 3/2, d = 1/2 is W with b = 1/2, c = 1, d = 1."""
    own = tensors(capsys, HERE / "table-own-exponents.nxt", "--regime", "own")
    assert own == tensors(capsys, HERE / "table-own-exponents.nxt", "--regime", "mup")
    ones = tensors(
        capsys, HERE / "table-own-exponents.nxt", "--regime", "own", "--gauge", "multiplier"
    )
    assert ones["W"]["powers"]["std"] == "0"
    assert ones["W"]["powers"]["multiplier"] == "-1/2"


def test_optimizers_that_no_training_has(capsys: pytest.CaptureFixture[str]) -> None:
    path = HERE / "table-own-exponents.nxt"
    for name in ("lamb", "adafactor"):
        assert "coordcheck cannot check this table" in run(capsys, path, "--optimizer", name)[1]
    assert "cannot" not in run(capsys, path, "--optimizer", "adam")[1]


@pytest.mark.parametrize(
    ("returned", "merged"),
    [
        ("|head> * |gain> * |nx>", True),
        ("|head> * |nx> / sqrt(<gain|gain>) + <head|x> * |gain>", True),
        ("|head> * |head> * |gain> * |nx>", False),
        ("|head> * |gain> * |nx> + tanh(|nx>)", False),
        ("|head> * |gain> * |nx> / sqrt(<head|head>)", False),
        ("|head> * |gain> * |nx> * (1 + <head|nx>^2)", False),
    ],
)
def test_a_multiplier_of_readouts_is_one_of_the_output_where_it_is_linear_in_them(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, returned: str, merged: bool
) -> None:
    """Two readouts in a product would have n^-1 twice, terms without readouts not at all."""
    text = (HERE / "table-gain-in-return.nxt").read_text("utf-8")
    file = tmp_path / "x.nxt"
    file.write_text(text.replace("|head> * |gain> * |nx>", returned), "utf-8")
    code, shown = run(capsys, file)
    assert code == 0
    assert ("\noutput " not in shown) == merged
    head = next(line.split() for line in shown.splitlines() if line.startswith("head"))
    assert head[:3] == ["head", "readout", "1" if merged else "0"]
