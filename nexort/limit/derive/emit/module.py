"""A derivation as the text of a numpy module: one function from data and params to the outputs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from nexort.limit.derive import closed, graphs
from nexort.limit.derive import univariate as u
from nexort.limit.derive.algebra import index_names
from nexort.limit.derive.derivation import AxisLabel, Derivation, IndexRange, OutputFormula
from nexort.limit.derive.emit import functions, rules
from nexort.limit.derive.emit.expressions import LabelOrder, NotClosed
from nexort.limit.derive.emit.families import (
    UnknownFamily,
    axes_of_unknown,
    families,
    flip_bracket,
    indices_of,
    moves,
    name_of,
)
from nexort.limit.derive.emit.functions import identifier
from nexort.limit.derive.formula import (
    Bracket,
    Formula,
    GaussianMean,
    GaussianPair,
    Indices,
    Symbol,
)
from nexort.limit.derive.printing import document, text, text_boxes
from nexort.limit.derive.printing.duals import dual_title
from nexort.limit.derive.printing.letters import rename_axes
from nexort.limit.derive.printing.notation import Notation
from nexort.limit.derive.printing.statements import Page, Paragraph, Section
from nexort.limit.derive.walking import walk_formula
from nexort.program.index import Affine
from nexort.program.nodes import Node
from nexort.program.program import Program
from nexort.support.diagnostics import fail

Gaussian = GaussianPair | GaussianMean
INDENT = "    "
Y, Z = Symbol("y"), Symbol("z")
_ONE = Affine(1)


def module(program: Program, derivation: Derivation, numbers: Mapping[str, int | float]) -> str:
    """The module's text. ``numbers`` has the values of params, the defaults of its arguments.

    Raises NexortError ('not-closed') that names an expectation without a closed form.
    """
    if derivation.regime and not derivation.closed:
        raise fail(
            "not-closed",
            "this derivation cannot be emitted: it leaves expectations over kets of the training",
            program.outputs[0].span,
            help="nexort eval samples what has no closed form",
        )
    try:
        return _Module(program, rename_axes(derivation)[0], numbers).text()
    except NotClosed as problem:
        shown = text_boxes.text_inline(Notation().box(problem.formula))
        reason = f"no rule gives {shown} in a closed form"
    except functions.Unknown as problem:
        reason = f"'{problem}' has no numpy source"
    raise fail(
        "not-closed",
        f"this derivation cannot be emitted: {reason}",
        program.outputs[0].span,
        help="nexort eval samples what has no closed form",
    )


JUMPS = (
    "Where two functions jump, a rounding of 1e-16 of a correlation near 1 or -1 is an error of "
    "1e-8, and in the next such layer of 1e-4. Of nearly equal or opposite kets the command eval "
    "says more, with error bars."
)


class _Module:
    def __init__(
        self, program: Program, derivation: Derivation, numbers: Mapping[str, int | float]
    ) -> None:
        self.program, self.derivation, self.numbers = program, derivation, numbers
        self.duals: dict[str, Gaussian] = {}
        data = [d for d in program.data if d in self._symbols("data")]
        self.data = [d for d in data if program.data[d].default is None]
        self.data += [d for d in data if program.data[d].default is not None]
        self.sizes: dict[str, str] = {}
        self.shapes: set[str] = set()
        for name in self.data:
            for k, axis in enumerate(program.data[name].axes):
                if axis.size is None:
                    self.sizes.setdefault(axis.name, f"{identifier(name)}.shape[{k}]")
        given = {*self.data, *program.params, *program.dims}
        needed = [o.value for o in derivation.outputs]
        self.families = families(derivation.equations, needed, given | set(map(identifier, given)))
        self.taken = given | set(map(identifier, given))
        self.taken |= {f.title for f in self.families.values()}

    def _symbols(self, kind: str) -> set[str]:
        """The names of symbols of a kind, in formulas and in the functions of dual activations."""
        found: set[str] = set()
        formulas = [e.right for e in self.derivation.equations]
        formulas += [o.value for o in self.derivation.outputs]
        for part in (x for f in formulas for x in walk_formula(f)):
            if isinstance(part, Symbol) and part.kind == kind:
                found.add(part.name)
        return found

    # ---- the parts of the module -----------------------------------------------------------------

    def text(self) -> str:
        """The whole module."""
        body = list(self._body())
        helpers = [self._dual(name, f) for name, f in self.duals.items()]
        numeric = any("gaussian_" in h for h in helpers)
        bivariate = any("bivariate(" in h for h in helpers)
        special = bivariate or any("special." in part for part in (*helpers, *body))
        imports = ["from functools import cache", "", "import numpy as np"]
        imports += ["from scipy import special"] if special else []
        return "\n".join(
            [
                functions.quote(self._docstring(), marks=3),
                "",
                *imports,
                *([rules.PAIR_RULE.rstrip()] if numeric else []),
                *([rules.BIVARIATE_RULE.rstrip()] if bivariate else []),
                *(["", rules.RATIO.rstrip()] if any("ratio(" in x for x in body) else []),
                "",
                "",
                "\n\n\n".join([*helpers, "\n".join(self._function(body))]),
                "",
            ]
        )

    def _docstring(self) -> str:
        page = document.page(self.derivation)
        wanted = ("Outputs", "Recursion", "Gaussian expectations")
        sections = tuple(s for s in page.sections if s.heading in wanted)
        pairs = [x for x in self.duals.values() if isinstance(x, GaussianPair)]
        if any(not (u.is_continuous(x.left) or u.is_continuous(x.right)) for x in pairs):
            sections += (Section("Accuracy", (Paragraph((JUMPS,)),)),)
        return text.page_text(Page(f"The limit of {page.title}", page.opening, sections), 96)

    def _function(self, body: Sequence[str]) -> Iterator[str]:
        data = self.program.data
        read = self._dims() | self.shapes
        sizes = [d for d in self.program.dims if d not in self.sizes and d in read]
        wanted = [*self.data[: self._required()], *(d for d in sizes if d not in self.numbers)]
        given = {d: data[d].default.attr for d in self.data[self._required() :]}  # type: ignore[union-attr]
        given |= {d: self.numbers[d] for d in sizes if d in self.numbers}
        given |= {p: self.numbers[p] for p in self._used_params()}
        arguments = [identifier(x) for x in wanted]
        arguments += [f"{identifier(x)}={value!r}" for x, value in given.items()]
        yield f"def limit({', '.join(arguments)}):"
        outputs = ", ".join(dict.fromkeys(o.name for o in self.derivation.outputs))
        about = f"The outputs {outputs} of {self.derivation.name}, by name."
        shapes = [f"{identifier(d)} of shape ({self._shape(d)})" for d in self.data]
        if shapes:
            about += f"\n\n{INDENT}Data: {'; '.join(shapes)}.\n{INDENT}"
        yield INDENT + functions.quote(about, marks=3)
        for name in map(identifier, self.data):
            yield f"{INDENT}{name} = np.asarray({name}, dtype=float)"
        for size, code in self.sizes.items():
            own = identifier(size)
            if any(re.search(rf"\b{own}\b", line.split('"""')[0]) for line in body):
                yield f"{INDENT}{own} = {code}"
        yield from (INDENT + line if line else "" for line in body)

    def _required(self) -> int:
        return sum(self.program.data[d].default is None for d in self.data)

    def _shape(self, name: str) -> str:
        axes = [a.name for a in self.program.data[name].axes]
        return ", ".join(axes) + ("," if len(axes) == 1 else "")

    def _lines(self) -> Iterator[tuple[Formula, Formula, tuple[IndexRange, ...]]]:
        """Left side, right side and ranges of every line."""
        for e in self.derivation.equations:
            yield e.left, e.right, e.ranges
        for o in self.derivation.outputs:
            yield o.value, o.value, o.ranges

    def _dims(self) -> set[str]:
        """The sizes that are read, in formulas or as ends of ranges."""
        ends = {
            n for *_, ranges in self._lines() for r in ranges for n in r.first.names | r.last.names
        }
        in_duals = {x for f in self.duals.values() for x in _params(f)}
        return (self._symbols("size") | ends | in_duals) & set(self.program.dims)

    def _used_params(self) -> list[str]:
        found = self._symbols("param")
        for left, right, ranges in self._lines():
            found |= index_names(left) | index_names(right)
            found |= {n for r in ranges for n in r.first.names | r.last.names}
        for f in self.duals.values():
            found |= set(_params(f))
        return [p for p in self.program.params if p in found]

    def _body(self) -> Iterator[str]:
        for family in self.families.values():
            yield ""
            yield from self._family(family)
        yield ""
        fills = list(self._fills())
        if fills:
            yield "# in order, so that no recursion is deep"
            yield from fills
            yield ""
        yield "return {"
        outputs: dict[str, list[OutputFormula]] = {}
        for output in self.derivation.outputs:
            outputs.setdefault(output.name, []).append(output)
        for name, [output, *_] in outputs.items():
            yield from functions.wrap_line(
                f"{functions.quote(name)}: ", self._output(output), INDENT, ",", 95
            )
        yield "}"

    # ---- families --------------------------------------------------------------------------------

    def _family(self, family: UnknownFamily) -> Iterator[str]:
        first = family.branches[0].equation
        yield "@cache"
        arguments = [*map(identifier, family.arguments)]
        yield f"def {family.title}({', '.join(arguments)}):"
        shown = text_boxes.text_inline(Notation().box(family.unknown()))
        yield INDENT + functions.quote(shown, marks=3)
        for branch in family.branches:
            value = self._value(branch.equation.right, branch.equation.labels)
            conditions = " and ".join(branch.conditions)
            if not conditions or (len(family.branches) == 1 and not family.symmetric):
                yield from functions.wrap_line("return ", value, INDENT, width=95)
                return
            yield f"{INDENT}if {conditions}:"
            yield from functions.wrap_line("return ", value, INDENT * 2, width=95)
        if family.symmetric:
            half = len(arguments) // 2
            other = [*arguments[half:], *arguments[:half]]
            dims = len(axes_of_unknown(first.left))
            if half and other != arguments:
                call = f"{family.title}({', '.join(other)})"
                turned_ = self._turned(call, dims, family.split)
                yield f"{INDENT}return {turned_}"
                return
        at = ", ".join(f"{{{a}}}" for a in arguments)
        yield f'{INDENT}raise ValueError(f"{family.title} has no member {at}")'

    def _turned(self, code: str, dims: int, split: int) -> str:
        if dims == 0:
            return code
        if dims == 2 and split == 1:
            return f"{code}.T"
        order = [*range(split, dims), *range(split)]
        return f"np.transpose({code}, {tuple(order)})"

    def _frame(self, labels: Sequence[AxisLabel]) -> LabelOrder:
        return LabelOrder(
            tuple((x.label, x.axis) for x in labels), self._refer, self._dual_name, self._size
        )

    def _size(self, axis: str) -> str:
        self.shapes.add(axis)
        if axis.isdigit():
            return axis
        return identifier(axis) if axis in self.program.dims else self.sizes[axis]

    def _value(self, formula: Formula, labels: Sequence[AxisLabel]) -> str:
        frame = self._frame(labels)
        found = frame.array(formula)
        if found.dims == frame.dims:
            return found.code[0]
        shape = ", ".join(self._size(x.axis) for x in labels)
        shape += "," if len(labels) == 1 else ""
        return f"np.broadcast_to({found.over(frame.dims)[0]}, ({shape}))"

    def _refer(self, unknown: Formula, dims: tuple[str, ...]) -> tuple[str, Indices]:
        name = name_of(unknown)
        if name not in self.families and isinstance(unknown, Bracket):
            unknown = flip_bracket(unknown)
            name = name_of(unknown)
        if name not in self.families:
            raise NotClosed(unknown)
        return self.families[name].call(indices_of(unknown)), axes_of_unknown(unknown)

    def _fills(self) -> Iterator[str]:
        """Loops over the families that refer to themselves at other indices."""
        for upwards in (True, False):
            for family in self.families.values():
                down, up = moves(family)
                if down if upwards else up and not down:
                    yield from self._loops(family, upwards)

    def _loops(self, family: UnknownFamily, upwards: bool) -> Iterator[str]:
        branch = max(family.branches, key=lambda b: len(b.equation.ranges))
        names = {r.var: r for r in branch.equation.ranges}
        indices = indices_of(branch.equation.left)
        depth = 0
        for r in names.values():
            ends = _ends(r.first, r.last + _ONE) if upwards else _ends(r.last, r.first - _ONE)
            by = "" if upwards else ", -1"
            yield f"{INDENT * depth}for {identifier(r.var)} in range({ends}{by}):"
            depth += 1
        yield f"{INDENT * depth}{family.call(indices)}"

    # ---- outputs and dual activations ------------------------------------------------------------

    def _output(self, output: OutputFormula) -> str:
        value = self._value(output.value, output.labels)
        for r in reversed(output.ranges):
            value = f"[{value} for {identifier(r.var)} in range({_ends(r.first, r.last + _ONE)})]"
        return f"np.array({value})" if output.ranges else value

    def _dual_name(self, formula: Gaussian) -> tuple[str, tuple[str, ...]]:
        wanted = dual_title(formula)
        if not wanted.isidentifier():
            wanted = wanted[0] + "_f"
        name, k = wanted, 1
        while (
            name in self.taken if name not in self.duals else not _same(self.duals[name], formula)
        ):
            k += 1
            name = f"{wanted}{k}"
        self.duals[name] = formula
        return name, tuple(_params(formula))

    def _dual(self, name: str, formula: Gaussian) -> str:
        """The function of a dual activation. Raises NotClosed where quadrature would be poor."""
        arguments = "p" if isinstance(formula, GaussianMean) else "p, c, q"
        more = "".join(f", {identifier(p, functions.DUAL)}" for p in _params(formula))
        if isinstance(formula, GaussianMean):
            known = closed.closed_mean(formula.function)
            graphs_ = [formula.function]
            about = "for a centred Gaussian y of variance p"
        else:
            known = closed.closed_pair(formula.left, formula.right)
            graphs_ = [formula.left, formula.right]
            about = "for centred Gaussians y, z of variances p, q and covariance c"
        if known is None and any(functions.rough(g, self.numbers) for g in graphs_):
            raise NotClosed(formula)
        factors = [graphs.at(g, x) for g, x in zip(graphs_, (Y, Z), strict=False)]
        shown = " ".join(text_boxes.text_inline(Notation().box(f, 2)) for f in factors)
        source = "by quadrature" if known is None else known.source
        words = textwrap.wrap(functions.quote(f"E[{shown}] {about} ({source}).", marks=3), 95)
        lines = [f"def {name}({arguments}{more}):", *(INDENT + w for w in words)]
        if known is None:
            rule = "gaussian_mean" if isinstance(formula, GaussianMean) else "gaussian_pair"
            taken = [*(_lambda(g) for g in graphs_), arguments]
            return "\n".join([*lines, f"{INDENT}return {rule}({', '.join(taken)})"])
        value = functions.plain_code(known.formula)[0]
        read = set(walk_formula(known.formula))
        if not {closed.P, closed.C, closed.Q} <= read and arguments != "p":
            shape = ", ".join(f"np.shape({x})" for x in "pcq")
            value = f"np.broadcast_to({value}, np.broadcast_shapes({shape}))"
        elif closed.P not in read:
            value = f"np.full(np.shape(p), {value})"
        if functions.needs_floors(known.formula):
            lines += [INDENT + x for x in functions.floors("p" if arguments == "p" else "pq")]
        if re.search(r"\broot\b", value):
            lines.append(INDENT + functions.root_of(known.formula))
        return "\n".join([*lines, *functions.wrap_line("return ", value, INDENT)])


def _ends(first: Affine, last: Affine) -> str:
    return f"{functions.index_code(first)}, {functions.index_code(last)}"


def _lambda(graph: Node) -> str:
    return f"lambda z: {functions.body(graph, 'z')}"


def _params(formula: Gaussian) -> list[str]:
    if isinstance(formula, GaussianMean):
        return functions.params_of(formula.function)
    return sorted({*functions.params_of(formula.left), *functions.params_of(formula.right)})


def _same(a: Gaussian, b: Gaussian) -> bool:
    if isinstance(a, GaussianMean) and isinstance(b, GaussianMean):
        return a.function is b.function
    if isinstance(a, GaussianPair) and isinstance(b, GaussianPair):
        return a.left is b.left and a.right is b.right
    return False
