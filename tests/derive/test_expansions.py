"""Expansions of trainings are programs, and derive as such."""

from __future__ import annotations

from pathlib import Path

import pytest

import nexort
from nexort.data.given import Given
from nexort.driver import compile_source, derive
from nexort.limit.derive.formula import Response
from nexort.support.diagnostics import NexortError, Source

EXPANDED = Path(__file__).parents[1] / "golden" / "expand"
FAST = ("cases/between", "cases/tangent", "cases/tangent_scalars", "cases/tangent_tied")
SLOW = (
    "cases/tangent_batch", "cases/tangent_heads", "cases/tangent_kinds", "cases/tangent_norms",
    "figure_5_1", "ntp_mlp_adam",
)  # fmt: skip


KETS_MOVE = sorted(
    {str(x.relative_to(EXPANDED).with_suffix("")) for x in EXPANDED.rglob("*.nxt")} - {*FAST, *SLOW}
)
QUICK = ("cases/entry", "cases/batch_mean", "figure_5_2")


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in KETS_MOVE]
)
def test_limits_in_which_kets_move_are_derived_from_the_expansion(name: str) -> None:
    text = (EXPANDED / f"{name}.nxt").read_text()
    found = derive(compile_source(Source(name, text)), Given({}, {}))
    # derivatives by hats go by the chain rule, without equations of their own
    assert {type(x) for x in found.undefined} <= {Response}
    assert found.kets
    assert found.outputs


@pytest.mark.parametrize("name", [*FAST, *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)])
def test_the_neural_tangent_limit_is_derived_from_the_expansion(name: str) -> None:
    text = (EXPANDED / f"{name}.nxt").read_text()
    found = derive(compile_source(Source(name, text)), Given({}, {}))
    # where outputs do not separate, kets move by updates, and derivatives by hats with them
    apart = name not in ("cases/tangent_batch", "cases/tangent_heads")
    assert {type(x) for x in found.undefined} <= (set() if apart else {Response})
    assert found.updates
    printed = nexort.loads(text).derive().text()
    for function in found.updates:
        if function.states:
            assert f"{function.name}_t(g_0, …, g_t)" in printed
    assert "K^t_a" in printed


def test_the_derivation_of_an_expansion_is_that_of_the_training() -> None:
    """The recursion of kernels, the Gaussian families and the update function, line by line."""
    program = (EXPANDED.parents[2] / "programs" / "ntp_mlp_adam.nxt").read_text()
    training = nexort.loads(program).derive().text()
    expansion = nexort.loads(nexort.loads(program).expand().program.source.text).derive().text()
    lines = [{" ".join(x.split()) for x in page.splitlines()} for page in (training, expansion)]
    rest = {x for x in lines[0] - lines[1] if x}
    alike = {x for x in lines[0] & lines[1] if "=" in x}
    assert len(alike) >= 25
    assert all("K_Q" in x or "f^" in x or "=" not in x or "E[adam" in x or "t = 0..7" in x
               for x in rest)  # fmt: skip


UPDATE = """update momentum(g, beta=0.9) { state m = 0; m = beta * m + g; return m }
param T = 3
matrix W ~ N(0, 1/n)
vector v ~ N(0, 1)
"""


def formulas(body: str) -> str:
    return nexort.loads(UPDATE + body).derive().text()


def test_a_history_over_a_loop_is_an_update_function_over_it() -> None:
    text = formulas(
        "for t in 0..T-1 { |q[t]> = momentum[t]((s + 1) * |v> for s in 0..t) }\n"
        "k[t] = <v|q[t]> for t in 0..T-1\noutput k\n"
    )
    assert "momentum_t(g_0, …, g_t) = m_t" in text
    assert "|q^t⟩ = momentum_t(|v⟩, …, (t + 1) |v⟩)   (t = 0..T−1)" in text


def test_members_of_operators_with_rules_of_their_own() -> None:
    text = formulas(
        "A[1] = 2 * W\nA[2] = W + |v> 1 <v|\n"
        "k = sum(l in 1..2) <v|A[l]|v>\nm = <v|A[2] A[1]|v>\noutput k, m\n"
    )
    assert "k = 1" in text
    with pytest.raises(NexortError, match="form a family"):
        formulas("A[1] = W\nfor l in 1..T { A[l+1] = A[l] A[l] }\noutput <v|A[T]|v>\n")


def test_sums_of_operators_act_and_have_entries() -> None:
    text = formulas("output <v|(sum(k in 1..2) |v> k <v|)|v>\n")
    assert "= Σ_{k=1..2} k" in text
