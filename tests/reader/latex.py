r"""Pages of LaTeX to the notation of text pages, and what TeX itself would refuse."""

from __future__ import annotations

import re

from .page import Page, Statement, statement
from .syntax import GREEK, Unreadable

LETTERS = {v: k for k, v in GREEK.items()}
LETTERS |= {k.capitalize(): v.upper() for k, v in LETTERS.items()}
WORDS = {"E": "E", "Cov": "Cov", "partial": "∂", "dots": "…", "cdot": "·", "quad": "", "sim": "~"}


class Translator:
    """One formula."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def group(self) -> str:
        """The inside of the next braces, as it is."""
        while self.text[self.at : self.at + 1] == " ":
            self.at += 1
        if self.text[self.at : self.at + 1] != "{":
            raise Unreadable(f"a group is missing in {self.text!r} at {self.at}")
        depth, start = 0, self.at + 1
        while True:
            c = self.text[self.at : self.at + 1]
            if not c:
                raise Unreadable(f"braces do not close in {self.text!r}")
            if c == "\\":
                self.at += 1
            depth += (c == "{") - (c == "}")
            self.at += 1
            if depth == 0:
                return self.text[start : self.at - 1]

    def result(self) -> str:
        """The formula in the notation of text."""
        found: list[str] = []
        raised = lowered = False  # whether what stands last has such a script already
        while self.at < len(self.text):
            c = self.text[self.at]
            if c in "^_":
                self.at += 1
                if (raised if c == "^" else lowered) or not found:
                    raise Unreadable(f"double script in {self.text!r}")
                raised, lowered = raised or c == "^", lowered or c == "_"
                found.append(self.script(c, "".join(found)))
                continue
            if c == " ":
                self.at += 1
                if self.text[self.at - 2 : self.at - 1] not in (",", ">", "+", "-", "="):
                    continue
                found.append(" ")
                continue
            raised = lowered = False
            if c == "{":
                inside = translated(self.group())
                found.append(inside)
                raised = False
            elif c == "\\":
                piece, raised = self.command()
                found.append(piece)
            else:
                self.at += 1
                found.append(self.plain(c))
        return "".join(found)

    def plain(self, c: str) -> str:
        if c == "}":
            raise Unreadable(f"braces do not match in {self.text!r}")
        spaced = (
            self.text[self.at - 2 : self.at - 1] == " " and self.text[self.at : self.at + 1] == " "
        )
        if c in "+-":
            sign = "−" if c == "-" else "+"
            return f" {sign}" if spaced else sign
        return " >" if c == ">" else c

    def script(self, kind: str, before: str) -> str:
        inside = flat(translated(self.group()).replace(" ", ""))
        named = re.search(r"_\{?\w+$|[^\W\d]\d+$|\(\w+_\w+\)$", before)
        if kind == "^" and before[-1] in ")]⟩0123456789" and not named:
            return f"^({inside})"
        return f"{kind}{{{inside}}}"

    def command(self) -> tuple[str, bool]:  # noqa: C901, PLR0911, PLR0912
        found = re.compile(r"\\([A-Za-z]+\*?|.)").match(self.text, self.at)
        assert found
        self.at = found.end()
        name = found[1]
        match name:
            case "ket":
                return f"|{translated(self.group())}⟩", False
            case "hatket":
                return f"hat|{translated(self.group())}⟩", False
            case "braket":
                left, right = translated(self.group()), translated(self.group())
                return f"⟨{left}|{right}⟩", False
            case "iid":
                return f"{translated(self.group())}^[{translated(self.group())}]", True
            case "transpose":
                base, above = translated(self.group()), translated(self.group())
                return f"{base}^{{{above}}}ᵀ" if above else f"{base}ᵀ", True
            case "frac":
                top, bottom = translated(self.group()), translated(self.group())
                return (f"{top}/{bottom}" if "∂" in top else f"({top})/({bottom})"), False
            case "sqrt":
                return f"√({translated(self.group())})", False
            case "mathrm" | "operatorname" | "text":
                inside = self.group().replace("\\_", "_")
                return (f"({inside})" if "_" in inside else inside), False
            case "mathbf":
                return translated(self.group()), False
            case "widehat":
                return f"hat {translated(self.group())}", False
            case "lvert":
                return "abs(", False
            case "langle":
                return "⟨", False
            case "rvert":
                return "|" if "⟨" in self.text[: self.at] else ")", False
            case "sum":
                return self.sum(), False
            case "bigl" | "Bigl" | "bigr" | "Bigr":
                return "", False
            case "," | " ":
                return " ", False
            case _ if name in WORDS:
                return (f" {WORDS[name]} " if name == "cdot" else WORDS[name]), False
            case _ if name in LETTERS:
                return LETTERS[name], False
            case _:  # an upright function: \tanh
                return name, False

    def sum(self) -> str:
        self.at += 1
        lower = flat(translated(self.group()).replace(" ", ""))
        if self.text[self.at : self.at + 1] == "^":
            self.at += 1
            return f"Σ_{{{lower}..{flat(translated(self.group()).replace(' ', ''))}}} "
        return f"Σ_{{{lower}}} "


def flat(text: str) -> str:
    """An index ``k_1`` as k1."""
    return re.sub(r"_\{(\w+)\}", r"\1", text)


def translated(text: str) -> str:
    return Translator(text).result()


def read(text: str, axes: dict[str, str]) -> Page:
    """A page of LaTeX; ``axes`` are those of its opening."""
    sections: dict[str, list[Statement]] = {}
    parts = re.split(r"\\subsection\*\{([^}]*)\}", text)
    for heading, body in zip(parts[1::2], parts[2::2], strict=True):
        found = []
        for block in re.findall(r"\\begin\{align\}\n(.*?)\n\\end\{align\}", body, re.DOTALL):
            found += [statement(x) for x in rows(block)]
        sections[heading] = found
    return Page(
        sections, axes, "Without an equation:" in text, "0/0 is 0" in text, "Every bra-ket" in text
    )


def rows(block: str) -> list[list[str]]:
    """Aligned rows as the sides of statements, translated, ranges behind the last."""
    sides: list[list[str]] = []
    for line in block.split(" \\\\\n"):
        row = re.sub(r"\\notag|\\label\{[^}]*\}", "", line).strip()
        if found := re.match(r"&\\rlap\{\$\\displaystyle (.*)\$\}$", row):
            goes_on = bool(re.match(r"\\quad", found[1]))
            if goes_on:
                sides[-1][-1] += " " + found[1].replace("\\quad ", "")
            else:
                sides.append([found[1]])
            continue
        left, _, right = row.partition("&")
        if not right.startswith("="):
            right = re.sub(r"^(\\quad )+", "", right)
            if left.strip():
                sides.append([left.strip()])
            elif sides[-1][-1].endswith(","):
                sides[-1][-1] += " \\qquad " + right
            else:
                sides[-1][-1] += " " + right.removeprefix("{}")
            continue
        if left.strip():
            sides.append([left.strip()])
        sides[-1].append(right[1:].strip())
    return [[*(translated(x) for x in s[:-1]), tail(s[-1])] for s in sides]


def tail(side: str) -> str:
    """The last side with its ranges in parentheses."""
    value, comma, where = side.partition(r", \qquad ")
    if not comma or where.startswith(r"\text"):
        return translated(value)
    where = where.replace(r",\dots,", "..").replace(r";\ ", "; ").replace("-", "−")
    return f"{translated(value)}   ({where.strip()})"


def translate_all(text: str) -> None:
    """Translate every displayed formula: braces match and no base has two scripts of a kind.
    Outer products of operators are only checked for that."""
    for block in re.findall(r"\\begin\{align\}\n(.*?)\n\\end\{align\}", text, re.DOTALL):
        for line in block.split("\n"):
            bare = re.sub(r"\\notag|\\label\{[^}]*\}|\\\\$", "", line)
            for side in re.split(r"(?<!\\)&", bare):
                translated(side.strip())
