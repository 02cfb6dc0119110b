"""What ``eval`` has in closed form ``derive`` prints in closed form: for every function of the
registry, and as a reader of the page reads it, it has the value of ``eval``."""

from __future__ import annotations

import numpy as np
import pytest
from reader import latex
from reader import page as pages
from reader.compare import vocabulary
from reader.page import Page
from reader.values import Reading

import nexort
from nexort.activations import registry
from nexort.gaussian.expectation import CLOSED, ONE, PIECEWISE, method_of
from nexort.gaussian.univariate import IDENTITY, Univariate, function
from nexort.limit.derive.listing import OPERATORS

SECOND = {"leaky_relu": 0.1, "celu": 0.7}
"""The second arguments of those that have one."""

LAW = "vector (y, z) ~ N(0, [[1.25, -0.5], [-0.5, 0.8]])"

NAMES = [n for n in registry() if n not in {*OPERATORS, "max", "min", "log", "sqrt"}]

ENTRIES: dict[str, tuple[Univariate, str]] = {"x": (IDENTITY, "|{}>")}
"""The functions and their derivatives, as univariate ones and in the language."""

for _name in NAMES:
    _more = SECOND.get(_name)
    _whole = function(_name) if _more is None else function(_name, _more)
    _arguments = "(|{}>)" if _more is None else f"(|{{}}>, {_more})"
    ENTRIES[_name] = _whole, _name + _arguments
    ENTRIES[f"{_name}'"] = _whole.derivative(), f"{_name}'{_arguments}"


def closed(f: Univariate, g: Univariate) -> bool:
    """Whether eval has E f(y) g(z) in closed form: by bivariate normal integrals, too."""
    return method_of(f, g) in (CLOSED, PIECEWISE)


def partners(name: str) -> list[str]:
    """The functions with which eval has a closed form, each pair of functions once."""
    f, _ = ENTRIES[name]
    return [other for other, (g, _) in ENTRIES.items() if name <= other and closed(f, g)]


def program(name: str) -> nexort.TensorProgram:
    """E f(y), E f(y)^2 and E f(y) g(z) for all partners g."""
    f, text = ENTRIES[name]
    lines = [LAW, f"|f> = {text.format('y')}"]
    outputs = ["<1|f>", "<f|f>"] if closed(f, ONE) else []
    for k, other in enumerate(partners(name)):
        lines.append(f"|g{k}> = {ENTRIES[other][1].format('z')}")
        outputs.append(f"<f|g{k}>")
    return nexort.loads("\n".join([*lines, f"output {', '.join(outputs)}"]))


def values(p: nexort.TensorProgram, page: Page) -> list[float]:
    """The outputs by the closed forms of the page, and nothing else: no expectation is open."""
    reading = Reading(page, vocabulary(p), {}, {}, {})
    for statement in reading.functions:
        if statement.text[0] in "MV":
            assert len(statement.rights) == 2, statement.text
            del statement.rights[0]
    for equation in reading.equations:
        del equation.rights[:-1]
    found = []
    for line in reading.outputs:
        reading.values.clear()
        found.append(reading.value(line.rights[-1], {}))
    return [float(x[0]) for x in found]


@pytest.mark.parametrize("name", [n for n in ENTRIES if partners(n)])
def test_closed_forms_on_the_page(name: str) -> None:
    p = program(name)
    limit, derivation = p.limit(), p.derive()
    wanted = [float(np.asarray(limit[o.name])) for o in p.program.outputs]
    text = pages.read(derivation.text())
    sizes = np.maximum(1.0, np.abs(wanted))
    for page in (text, latex.read(derivation.latex(), text.axes)):
        # floats are printed to ten digits
        np.testing.assert_allclose((np.array(values(p, page)) - wanted) / sizes, 0, atol=2e-9)
