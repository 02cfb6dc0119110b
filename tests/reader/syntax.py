"""Printed mathematics to trees. The notation is that of text pages; LaTeX is translated to it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

WORDS = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma "
    "tau upsilon phi chi psi omega"
)
GREEK = dict(zip("αβγδεζηθικλμνξοπρστυφχψω", WORDS.split(), strict=True))
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
LETTER = "A-Za-zα-ωΑ-Ω"
HAT = "\u0302"


class Unreadable(Exception):
    """Text that is not in the notation."""


@dataclass(frozen=True)
class Num:
    value: float


@dataclass(frozen=True)
class Name:
    """``base^above_below``; which scripts belong to the name is told by what the page defines."""

    base: str
    above: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    hat: bool = False
    copy: int = 0


@dataclass(frozen=True)
class Op:
    """``kind``: sum, product, quotient, power, root, ket, braket, response, mean, big, delta, step,
    call, outer; ``info`` what is no tree."""

    kind: str
    args: tuple[Tree, ...]
    info: Any = None


Tree = Num | Name | Op


class Parser:
    """One expression; positions are in ``text``."""

    def __init__(self, text: str) -> None:
        self.text, self.at = unicodedata.normalize("NFD", text.strip()), 0

    def whole(self) -> Tree:
        found = self.expression()
        if self.at != len(self.text):
            raise self.problem("end")
        return found

    def problem(self, wanted: str) -> Unreadable:
        return Unreadable(f"expected {wanted} at {self.text[self.at :][:40]!r} in {self.text!r}")

    def take(self, pattern: str) -> re.Match[str] | None:
        found = re.compile(pattern).match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def need(self, literal: str) -> None:
        if not self.take(re.escape(literal)):
            raise self.problem(literal)

    # ---- arithmetic ------------------------------------------------------------------------------

    def expression(self) -> Tree:
        terms = []
        minus = bool(self.take(r"[−-]\s?"))
        while True:
            term = self.term()
            terms.append(Op("product", (Num(-1.0), term)) if minus else term)
            sign = self.take(r" ?([+−]) ?")
            if not sign:
                return terms[0] if len(terms) == 1 else Op("sum", tuple(terms))
            minus = sign[1] == "−"

    def term(self) -> Tree:
        factors = [self.factor()]
        while self.take(r" · | (?=[^\s=+−>,;·)\]…])"):
            factors.append(self.factor())
        return factors[0] if len(factors) == 1 else Op("product", tuple(factors))

    def factor(self) -> Tree:
        found = self.powered()
        if self.take("/"):
            found = Op("quotient", (found, self.powered()))
        return found

    def powered(self) -> Tree:
        if self.take("√"):
            return Op("root", (self.powered(),))
        found = self.primary()
        if raised := self.take("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+"):
            power = float(raised[0].translate(SUPERSCRIPTS))
            return Op("power", (found, Num(power)))
        if self.take(r"\^\("):
            exponent = self.expression()
            self.need(")")
            return Op("power", (found, exponent))
        if isinstance(found, Num) and (raised := self.take(r"\^(\w)")):
            return Op("power", (found, Parser(raised[1]).whole()))
        return found

    def primary(self) -> Tree:
        if self.take(r"1(?=\([^()]*(\([^()]*(\([^()]*\)[^()]*)*\)[^()]*)* > 0\))"):
            self.need("(")
            inside = self.expression()
            self.need(" > 0)")
            return Op("step", (inside,))
        if number := self.take(r"\d+(\.\d+)?(e-?\d+)?"):
            found: Tree = Num(float(number[0]))
            if re.match(r"[^\W\d_]", self.text[self.at : self.at + 1]):  # 2 l in an index
                return Op("product", (found, self.name()))
            return found
        if self.take(r"\((?=[A-Za-z]\w*_\w*\))"):
            found = Name(self.word(underscores=True))
            self.need(")")
            return self.scripted(found)
        if self.take(r"\("):
            found = self.expression()
            self.need(")")
            return found
        if self.take("Σ"):
            return self.large()
        if mean := self.take(r"E(?:_(\d)|_\{([\d,]+)\})?\["):
            return self.mean(mean)
        if self.take("⟨"):
            left = self.label()
            self.need("|")
            right = self.label()
            self.need("⟩")
            return Op("braket", (left, right))
        if self.take(r"abs\("):
            found = self.expression()
            self.need(")")
            return Op("call", (found,), "abs")
        if hat := self.take(r"(hat)?\|"):
            return self.ket(bool(hat[1]))
        if self.take("δ(?=_)"):
            below = self.name_scripts()[1]
            return Op("delta", (), below)
        return self.called()

    def mean(self, head: re.Match[str]) -> Tree:
        copies = tuple(int(c) for c in (head[1] or head[2] or "").split(",") if c)
        if self.take("∂"):
            x = self.ket(self._bar())
            self.need("/∂")
            by = self.ket(self._bar())
            self.need("]")
            return Op("response", (x, by))
        body = self.expression()
        self.need("]")
        return Op("mean", (body,), copies)

    def _bar(self) -> bool:
        found = self.take(r"(hat)?\|")
        if not found:
            raise self.problem("|")
        return bool(found[1])

    def ket(self, hat: bool) -> Tree:
        name = self.label()
        self.need("⟩")
        assert isinstance(name, Name)
        copy = self.take(r"\^\[(\d+)\]")
        hat = hat or name.hat
        found = Name(name.base, name.above, name.below, hat, int(copy[1]) if copy else 0)
        if self.take("⟨"):
            right = self.label()
            self.need("|")
            return Op("outer", (found, right))
        return Op("ket", (found,))

    def label(self) -> Name:
        """What stands between the bars."""
        if self.take(r"1(?=[|⟩])"):
            return Name("1")
        hat = bool(self.take("hat "))
        if self.take(r"\("):
            found = Name(self.word(underscores=True))
            self.need(")")
            found = self.scripted(found)
        else:
            found = self.name()
        copy = self.take(r"\^\[(\d+)\]")
        return Name(
            found.base, found.above, found.below, hat or found.hat, int(copy[1]) if copy else 0
        )

    def large(self) -> Tree:
        self.need("_")
        label = self.take(r"\{([^{}]*)\} |(\w\u0302?) ")
        if not label:
            raise self.problem("the range of a sum")
        text = label[1] or label[2]
        body = self.term()
        if span := re.fullmatch(r"([^<=]+)<([^<=]+)", text):
            return Op("big", (body,), (span[1], "0", span[2] + "−1"))
        if span := re.fullmatch(r"([^<=]+)=(.+)\.\.(.+)", text):
            return Op("big", (body,), span.groups())
        return Op("big", (body,), (text,))

    # ---- names -----------------------------------------------------------------------------------

    def word(self, underscores: bool = False) -> str:
        pattern = rf"[{LETTER}][{LETTER}0-9]*" if not underscores else rf"[{LETTER}0-9_]+"
        found = self.take(rf"_*{pattern}(?:{HAT}[{LETTER}0-9]*)?")
        if not found:
            raise self.problem("a name")
        return found[0]

    def name(self) -> Name:
        word = self.word()
        hat = HAT in word
        return self.scripted(Name(word.replace(HAT, ""), hat=hat))

    def scripted(self, name: Name) -> Name:
        above, below = self.name_scripts()
        return Name(name.base, above, below, name.hat)

    def name_scripts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Scripts; those below that come first are of the name (``K_Q^t``) or are told by the
        page."""
        above: tuple[str, ...] = ()
        below: list[str] = []
        while True:
            if found := self.take(
                rf"\^\{{([^{{}}]*)\}}|\^([{LETTER}0-9])(?=_)|\^([{LETTER}0-9])(?![{LETTER}0-9(])"
            ):
                above = tuple((found[1] or found[2] or found[3]).split(","))
            elif found := self.take(rf"_\{{((?:[^{{}}]|\{{\w+\}})*)\}}|_([{LETTER}0-9]+)"):
                below += (found[1] or found[2]).split(",")
            else:
                return above, tuple(below)

    def called(self) -> Tree:
        name = self.name()
        if self.take("ᵀ"):
            return Op("transpose", (name,))
        if not self.take(r"\((?!\w+_\w+\)\S)"):
            return name
        args = [self.expression()]
        while self.take(", "):
            args.append(Name("…") if self.take("…") else self.expression())
        self.need(")")
        return Op("call", tuple(args), name)


def parsed(text: str) -> Tree:
    """The tree of a printed formula."""
    return Parser(text).whole()


def ascii_name(word: str) -> str:
    """A name as programs have it: ``σ`` is sigma, ``dφ`` dphi."""
    return "".join(
        GREEK.get(c) or (GREEK[c.lower()].capitalize() if c.lower() in GREEK else c) for c in word
    )


# ---- indices -------------------------------------------------------------------------------------


def index(text: str) -> dict[str, int]:
    """An affine index: coefficients of its variables, and of '' the constant."""
    found: dict[str, int] = {}
    for sign, size, word in re.findall(r"([+−-]?)(\d*)([^\W\d]\w*)?", text.replace(" ", "")):
        if size or word:
            value = int(size or 1) * (-1 if sign in ("−", "-") else 1)
            key = ascii_name(word)
            found[key] = found.get(key, 0) + value
    return found


def value_of(text: str, env: dict[str, int]) -> int:
    """An index's number."""
    total = 0
    for name, coefficient in index(text).items():
        if name and name not in env:
            raise Unreadable(f"the index {name} has no value")
        total += coefficient * (env[name] if name else 1)
    return total


def letters(script: str) -> list[str]:
    """``ab`` as the labels a and b."""
    return list(script) if re.fullmatch(r"[a-z]{2,}", script) else [script]
