"""Emitted modules of programs whose names, files and texts are hostile to Python."""

from __future__ import annotations

import ast
import keyword
from pathlib import Path

import numpy as np
import pytest

import nexort
from nexort.driver import compile_source
from nexort.limit.derive.emit.functions import RESERVED, identifier, quote
from nexort.limit.derive.printing.names import escape_latex
from nexort.support.diagnostics import Source

TEMPLATE = """\
param {p} = 2, {q} = 0.5
dim {d}, M
data {xi}[{d}, M]
vector u[{d}] ~ N(0, 1)
matrix W[2..{p}] ~ N(0, 1/n)
fn phi(z) = tanh({q} * z)
|h> = |u> @ {xi}
|x[1]> = phi(|h>)
for {l} in 2..{p} {{ |x[{l}]> = phi(W[{l}] |x[{l}-1]>) }}
{k}[{m}] = <x[{m}]|x[{m}]> for {m} in 1..{p}
output {k}, sum({s} in 1..{p}) {k}[{s}] * {q} as total
"""
PLAIN = ("p", "q", "d", "xi", "l", "k", "m", "s")
NAMES = [
    ("None", "True", "class", "lambda", "import", "def", "return", "while"),
    ("np", "c", "special", "range", "cache", "limit", "float", "zip"),
    ("z", "p", "q", "NODES", "root", "gaussian_pair", "y", "V_f"),
    ("l", "m", "l1", "x_x", "r", "x_x_at", "h_h", "l2"),
    ("p_", "p", "q_", "np_", "np", "lambda_", "__debug__", "sum1"),
    ("a", "b", "c", "e", "i", "f", "j", "g"),
]
XI = np.random.default_rng(0).standard_normal((3, 2))


def limit(module: str, data: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs of a module, its data given by position."""
    space: dict[str, object] = {}
    exec(compile(module, "emitted", "exec"), space)
    return space["limit"](data)  # type: ignore[operator, no-any-return]


@pytest.mark.parametrize("names", NAMES, ids=" ".join)
def test_names_change_nothing(names: tuple[str, ...]) -> None:
    plain = nexort.loads(TEMPLATE.format(**dict(zip(PLAIN, PLAIN, strict=True))))
    wanted = plain.limit(xi=XI, rtol=1e-12)
    text = TEMPLATE.format(**dict(zip(PLAIN, names, strict=True)))
    found = limit(nexort.loads(text).emit(), XI)
    np.testing.assert_allclose(found[names[5]], wanted["k"], rtol=1e-11)
    np.testing.assert_allclose(found["total"], wanted["total"], rtol=1e-11)


def test_identifiers() -> None:
    names = [w + "_" * k for w in (*RESERVED, "lambda", "xi", "a_b") for k in range(3)]
    found = [identifier(name) for name in dict.fromkeys(names)]
    assert len(set(found)) == len(found)
    assert all(x.isidentifier() and not keyword.iskeyword(x) and x not in RESERVED for x in found)


HOSTILE = [
    '""";import os;os.makedirs("owned");"""',
    "a\\",
    'quote"',
    '"""',
    "line\nimport os",
    "\\N{DIGIT ONE} \\x41 {x} %s \r\t\x1b[31m",
    "\udc80 \u2028 é ⟨x⟩",
    "#$%&_{}~^<>|\\input{/etc/passwd}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_as_strings(text: str) -> None:
    assert ast.literal_eval(quote(text)) == text
    assert ast.literal_eval(quote(text, marks=3)) == text
    quote(text).encode("utf-8")


@pytest.mark.parametrize("text", HOSTILE)
def test_file_names(text: str) -> None:
    """The file's name reaches docstrings, comments, titles: nothing of it is obeyed."""
    program = "dim d\ndata x[d]\nvector u[d] ~ N(0, 1)\n|h> = |u> @ x\noutput <h|h>\n"
    name = text.replace("/", ";") + ".nxt"
    p = nexort.TensorProgram(compile_source(Source(name, program)))
    module = p.emit()
    tree = ast.parse(module.encode("utf-8"))
    kinds = {type(x) for x in tree.body}
    assert kinds == {ast.Expr, ast.ImportFrom, ast.Import, ast.FunctionDef}
    assert sum(isinstance(x, ast.Expr) for x in tree.body) == 1
    derived = p.derive()
    document = derived.latex(document=True)
    assert document.count("\\input") == 0
    assert "\x1b" not in derived.text() + document
    heading = next(line for line in document.splitlines() if "\\section*" in line)
    bare = heading.replace("\\{", "").replace("\\}", "")
    assert bare.count("{") == bare.count("}")


def test_comments_are_no_part_of_a_name() -> None:
    text = 'vector v ~ N(0, 1)\noutput (<v|v> + # "}, os.abort() """\n 1)'
    program = nexort.loads(text)
    assert [o.name for o in program.program.outputs] == ["(<v|v> + 1)"]
    assert limit(program.emit().replace("limit():", "limit(_):"), XI)["(<v|v> + 1)"] == 2


def test_latex_text() -> None:
    shown = escape_latex("".join(map(chr, range(1, 127))))
    assert "\n" not in shown
    for character in "#$%&_":
        assert f"\\{character}" in shown


def test_sizes_inside_functions(tmp_path: Path) -> None:
    text = "dim d\ndata x[d]\nvector u[d] ~ N(0, 1)\nfn phi(z) = tanh(z / d)\n"
    text += "|h> = phi(|u> @ x)\noutput <h|h>"
    program = nexort.loads(text)
    x = np.array([0.3, -1.0, 2.0])
    found = limit(program.emit(), x)
    np.testing.assert_allclose(found["<h|h>"], program.limit(x=x)["<h|h>"], rtol=1e-10)
