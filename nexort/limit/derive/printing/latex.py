r"""Derivations as LaTeX: a fragment after its macros, or a complete document.

Every statement is an equation with a label; those that follow each other are aligned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from nexort.limit.derive.printing.latex_boxes import (
    MACROS,
    latex_inline,
    latex_pieces,
    macros,
    width,
)
from nexort.limit.derive.printing.lines import fill_lines
from nexort.limit.derive.printing.names import escape_latex
from nexort.limit.derive.printing.statements import Page, Paragraph, Statement, Words

TEXT_WIDTH = 38.0
"""The space for an equation beside its number, in em."""

STEP = 2.0
PREAMBLE = r"""\documentclass[11pt,a4paper]{article}
\usepackage[margin=25mm]{geometry}
\usepackage{amsmath,amssymb}
\allowdisplaybreaks
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt plus 2pt}
"""


def fragment(page: Page) -> str:
    """The page to be put into a paper: needs amsmath and amssymb."""
    head = "% Needs \\usepackage{amsmath,amssymb}.\n" + MACROS
    return head + "\n" + "\n".join(_body(page, r"\subsection*")) + "\n"


def document(page: Page) -> str:
    """The page as a file that compiles with pdflatex."""
    lines = [PREAMBLE + MACROS, r"\begin{document}"]
    lines.append(rf"\section*{{{escape_latex(page.title)}}}")
    lines += [*_body(page, r"\subsection*"), r"\end{document}"]
    return "\n".join(lines) + "\n"


def _body(page: Page, heading: str) -> Iterator[str]:
    for paragraph in page.opening:
        yield _sentence(paragraph.words)
        yield ""
    for section in page.sections:
        yield f"{heading}{{{escape_latex(section.heading)}}}"
        block: list[Statement] = []
        for item in section.items:
            if isinstance(item, Statement):
                block.append(item)
            if block and (isinstance(item, Paragraph) or item.note):
                yield from latex_equations(block)
                block = []
            if isinstance(item, Paragraph):
                yield _sentence(item.words)
            elif item.note:
                yield _sentence(item.note)
        yield from latex_equations(block)
        yield ""


def latex_equations(items: Sequence[Statement]) -> Iterator[str]:
    """Equations under each other, numbered where they have labels; without their notes."""
    if not items:
        return
    limit = TEXT_WIDTH / 3
    sizes = [0.0 if x.left is None else width(x.left) for x in items]
    at = max((s for s in sizes if s <= limit), default=STEP)
    yield r"\begin{align}"
    rows = []
    for item, size in zip(items, sizes, strict=True):
        own = list(_rows(item, at, long=size > limit))
        number = r" \notag" if item.label is None else rf" \label{{{item.label}}}"
        rows += [line + r" \notag" for line in own[:-1]] + [own[-1] + number]
    yield from ("  " + line + (r" \\" if k < len(rows) - 1 else "") for k, line in enumerate(rows))
    yield r"\end{align}"


def _rows(item: Statement, left: float, long: bool = False) -> Iterator[str]:
    """The lines of an aligned equation; a long left side has a line of its own."""
    head = "" if item.left is None else latex_inline(item.left)
    if not item.rights:
        yield head + " &"
    elif long and item.left is not None:
        for line in fill_lines(latex_pieces(item.left), TEXT_WIDTH, STEP):
            shown = r"\quad " * round(line.indent) + line.string()
            yield rf"&\rlap{{$\displaystyle {shown}$}}"
        head = ""
    start = left + 1.3
    for k, right in enumerate(item.rights):
        last = k == len(item.rights) - 1
        lines = fill_lines(latex_pieces(right), TEXT_WIDTH - start, STEP)
        for n, line in enumerate(lines):
            opening = (head if k == 0 else "") + " &= " if n == 0 else _indented(line.indent)
            text = opening + line.string()
            if last and n == len(lines) - 1 and item.tail is not None:
                text = text + ","
                if start + line.end + width(item.tail) + 2.5 <= TEXT_WIDTH:
                    text += r" \qquad " + latex_inline(item.tail)
                else:
                    yield text
                    text = _indented(STEP) + latex_inline(item.tail)
            yield text


def _indented(em: float) -> str:
    return "&" + r"\quad " * max(1, round(em))


def display(items: Sequence[Statement]) -> str:
    """Statements for a notebook: one display that MathJax can show, without any macros of ours."""
    rows = [line for item in items for line in _rows(item, STEP)]
    body = " \\\\\n".join(_without_macros(line) for line in rows)
    return f"$$\\begin{{aligned}}\n{body}\n\\end{{aligned}}$$"


def _without_macros(line: str) -> str:
    """The line with this module's macros expanded, innermost arguments first."""
    for name, (count, template) in macros().items():
        argument = r"\{((?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*)\}"
        pattern = re.compile(rf"\\{name}(?![A-Za-z])" + argument * count)
        while (match := pattern.search(line)) is not None:
            shown = template
            for k, found in enumerate(match.groups(), 1):
                shown = shown.replace(f"#{k}", found)
            line = line[: match.start()] + shown + line[match.end() :]
    return line


def _sentence(words: Sequence[Words]) -> str:
    return "".join(escape_latex(w) if isinstance(w, str) else f"${latex_inline(w)}$" for w in words)
