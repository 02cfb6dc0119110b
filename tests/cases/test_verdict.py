"""Verdicts: sizes are counted until they stay, whatever starts at 0 and whatever has a name."""

from __future__ import annotations

from pathlib import Path

import pytest

import nexort
from nexort.cli import main
from nexort.parametrization import Classification

HERE = Path(__file__).parent


def classified(name: str, *changes: tuple[str, str]) -> Classification:
    """The verdict on a file, with some of its text replaced."""
    text = (HERE / f"{name}.nxt").read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    found = nexort.classify(nexort.loads(text))
    assert isinstance(found, Classification)
    return found


def test_a_rate_that_zero_initialization_hides() -> None:
    """up moves first at step 2, after head and down: its rate is too large by n."""
    found = classified("verdict-zero-init-rate")
    assert found.verdict == "unstable"
    assert [(x.layer, x.exponent, x.old, x.new) for x in found.changes or ()] == [("up", "c", 0, 1)]
    repaired = classified("verdict-zero-init-rate", ("up: a=0, b=1/2, c=0", "up: a=0, b=1/2, c=1"))
    assert repaired.verdict == "feature learning"


def test_a_query_that_starts_at_0() -> None:
    assert classified("verdict-zero-query").verdict == "feature learning"
    for law in ("N(0, 0.01)", "N(0, 1)"):
        other = classified("verdict-zero-query", ("matrix ~ N(0, 0)", f"matrix ~ {law}"))
        assert other.verdict == "feature learning"
    for d in ("1/2", "2"):
        table = (
            "{ emb: a=0, b=0, c=0, d=1; "
            f"Q: a=0, b=1/2, c=1, d={d}; K: a=0, b=1/2, c=1, d=1; O: a=0, b=1/2, c=1, d=1; "
            "head: a=0, b=0, c=0, d=1; out: a=1 }"
        )
        wrong = classified(
            "verdict-zero-query", ("parametrization mup", f"parametrization {table}")
        )
        assert wrong.verdict == "unfaithful"


@pytest.mark.parametrize("inlined", [False, True])
def test_a_name_does_not_change_the_verdict(inlined: bool) -> None:
    changes = [("  |z> = |x> @ <k|q>\n", ""), ("O |z>", "O (|x> @ <k|q>)")] if inlined else []
    assert classified("verdict-named-ket", *changes).verdict == "feature learning"


def test_hard_gates_move_by_1() -> None:
    found = classified("verdict-top1")
    assert found.verdict == "feature learning"
    sizes = {(x.quantity, x.name): x.powers for x in found.sizes}
    assert set(sizes["change", "hard"]) == {0}


@pytest.mark.parametrize("name", ["verdict-weight-named-out", "verdict-weight-named-out-bias"])
@pytest.mark.parametrize("regime", ["mup", "ntp", "sp"])
def test_a_weight_named_out(name: str, regime: str) -> None:
    found = [
        nexort.classify(nexort.loads(text), parametrization=regime)
        for text in (
            _trained((HERE / f"{name}.nxt").read_text("utf-8")),
            _trained((HERE / f"{name}.nxt").read_text("utf-8").replace("out", "v")),
        )
    ]
    assert found[0].verdict == found[1].verdict
    assert regime != "mup" or found[0].verdict == "feature learning"
    assert [(x.exponent, x.new) for x in found[0].changes or ()] == [
        (x.exponent, x.new) for x in found[1].changes or ()
    ]


def _trained(text: str) -> str:
    return f"{text}\ntrain f {{ parametrization mup; optimizer adam(lr=1); error f; steps 2 }}\n"


def test_exponents_of_a_weight_named_out_and_of_the_output() -> None:
    text = _trained((HERE / "verdict-weight-named-out.nxt").read_text("utf-8")).replace(
        "parametrization mup",
        "parametrization { u: a=0, b=0, c=0, d=1; W: a=0, b=1/2, c=1, d=1; "
        "out: a=1/2, b=0, c=0, d=1; out: a=1/2 }",
    )
    found = nexort.classify(nexort.loads(text))
    assert found.table.out == found.table.exponents[-1].a == 0.5


def test_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("verdict-weight-named-out", "verdict-weight-named-out-bias"):
        with pytest.raises(SystemExit) as exit_:
            main(["classify", str(HERE / f"{name}.nxt")])
        assert exit_.value.code == 0
        assert "verdict: feature learning" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("weight", "value"),
    [("f : matrix", "f tanh"), ("f : vector", "|f> * tanh"), ("f : scalar", "f *")],
)
def test_nothing_in_a_network_has_its_name(weight: str, value: str) -> None:
    """f is what is trained: in the error and in outputs it has one meaning."""
    text = (HERE / "verdict-weight-named-out.nxt").read_text("utf-8")
    text = text.replace("W : matrix", weight).replace("W tanh", value)
    with pytest.raises(nexort.NexortError, match="'f' is defined twice"):
        nexort.loads(text)
    with pytest.raises(nexort.NexortError, match="'f' is defined twice"):
        nexort.loads(text.replace("|x>", "|f>").replace("out|x", "out|f"))


@pytest.mark.parametrize("normalization", ["weight", "trust"])
def test_a_norm_of_0_moves_nothing(normalization: str) -> None:
    """Q / |w| and Q |w| / |Q| are no updates of a weight that is 0, at width n as here."""
    changes = (
        ("down: a=0, b=1/2, c=1", "down: a=0, b=1/2, c=0"),
        ("head : vector ~ N(0, 0)", "head : vector"),
    )
    text = (HERE / "verdict-zero-init-rate.nxt").read_text("utf-8")
    for old, new in changes:
        text = text.replace(old, new)
    found = nexort.classify(nexort.loads(text), normalization=normalization)
    assert isinstance(found, Classification)
    assert "never moved, since their norms, which weigh updates, are 0: down" in str(found)


def test_a_readout_of_norm_0_trains_nothing() -> None:
    text = (HERE / "verdict-zero-query.nxt").read_text("utf-8")
    text = text.replace("head : vector", "head : vector ~ N(0, 0)")
    text = text.replace("steps 3", "normalize weights for head; steps 3")
    assert nexort.classify(nexort.loads(text)).verdict == "trivial"
    assert not nexort.loads(text).simulate(width=16, seeds=1)["f"].any()
