"""Axes in the exact engine: values are aligned by label, and no two labels are confused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import nexort

CASES = Path(__file__).parent

VALUES = {
    "label-8-offsets-broadcast": (
        "flat", [[2.916666667, 2.268789890], [2.268789890, 3.25]], (), 2e-9,
    ),
    "label-8-offsets-internal": (
        "<x|x>",
        [[4.333584464563907, 7.476603213552635], [7.476603213552635, 12.920627428730608]],
        (), 1e-13,
    ),
    "label-8-offsets-not-positive": (
        "<x|x>",
        [
            [[1.25, 2.1250907409182744], [0.9167922322819531, 1.613210865858043]],
            [[2.1250907409182744, 3.625], [1.613210865858043, 2.8353137143653036]],
        ], (0,), 1e-13,
    ),
    "label-9-offsets-silent": (
        "<x|x>",
        [[3.6969561128323742, 3.6905236339652383], [3.3497397161097475, 3.344432219659617]],
        (0, 0), 1e-13,
    ),
    "label-flat-axis": ("<y|x>", [[1, 1], [2, 2]], (), 1e-14),
    "label-flat-axis-crash": ("<y|x>", [[1, 1, 1], [2, 2, 2]], (), 1e-14),
}  # fmt: skip
"""By case: an output, the value of a part of it, the part's indices, and the relative precision of
what is known."""


@pytest.mark.parametrize("name", VALUES)
def test_case(name: str) -> None:
    output, value, part, precision = VALUES[name]
    found = nexort.load(CASES / f"{name}.nxt").limit()[output]
    assert found.method == "exact: closed form"
    assert np.asarray(found).shape[len(part) :] == np.shape(value)
    np.testing.assert_allclose(np.asarray(found)[part], value, rtol=precision)


def test_second_pixel_of_nine_offsets() -> None:
    found = nexort.load(CASES / "label-9-offsets-silent.nxt").limit()["<x|x>"]
    value = [[3.344432219659617, 3.338948325864473], [3.0479343392445486, 3.043415691425893]]
    np.testing.assert_allclose(np.asarray(found)[1, 1], value, rtol=1e-13)


def test_a_sum_takes_no_letter_of_the_left_side() -> None:
    program = nexort.load(CASES / "derive-index-capture.nxt", M=2)
    line = program.derive()["<x|y>"].text.splitlines()[0]
    found = re.fullmatch(r"⟨x_(.)\|y_(.)⟩ = Σ_(.) B_(.)(.) ⟨b\|x_(.)⟩", line)
    assert found is not None, line
    a, b, bound, *at = found.groups()
    assert len({a, b, bound}) == 3
    assert at == [bound, b, bound]
    namespace: dict[str, object] = {}
    exec(program.emit(), namespace)
    emitted = namespace["limit"]()["<x|y>"]  # type: ignore[operator]
    np.testing.assert_allclose(emitted, np.asarray(program.limit()["<x|y>"]))
    np.testing.assert_allclose(emitted, [[4, 6], [4, 6]])
