"""The core program of a training in the neural tangent limit (Thm 2.4.9, 2.9.23): kets stay as they
are at initialization, and f_{t+1} = f_t - eta K_Q(chi_0, ..., chi_t)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nexort.diagnostics import NexortError, fail
from nexort.expand.analysis import Analysis
from nexort.expand.maximal import Section, error_lines, joined
from nexort.expand.planning import forward, looped
from nexort.expand.reverse import moved_by
from nexort.expand.rules import Item, Nest, Rule, leaf
from nexort.expand.start import initial_lines, letters, update_call
from nexort.expand.statements import Each, Line, Statement, written
from nexort.expand.text import PRODUCT, UNARY, Writer
from nexort.expand.weights import gradient, loops_of, member_type, moves_of, over_members
from nexort.program import build
from nexort.program.index import Affine, Loop
from nexort.program.network import WeightFamily
from nexort.program.nodes import Node, Op
from nexort.program.types import Kind, Type


@dataclass
class Tangent:
    """Writes the core program of an analysed training."""

    analysis: Analysis
    last: str
    """The number of steps, as text."""
    vanishes: bool
    """Whether f_0 does."""
    loops: dict[str, tuple[Loop, ...]] = field(default_factory=dict)
    updates: dict[str, str] = field(default_factory=dict)
    """The names of weights' updates."""

    def __post_init__(self) -> None:
        a = self.analysis
        self.network = a.training.network
        if not a.apart:
            raise self._problem("its outputs share kets, or have several axes")
        uses = [u for found in a.uses.values() for u in found]
        taken = frozenset((a.step, a.past, *a.names.taken)) - letters(a.rules.items)
        self.loops = {w.name: loops_of(w, uses, taken) for w in self.network.weights.values()}
        self.updates = {n: a.names.fresh(f"Q{n}", f"Q_{n}") for n in self.network.weights}
        self.kernel = a.names.fresh("K")
        self.fixed = frozenset((*a.rules.types, *self.network.weights))
        self.moving = frozenset((a.chi, self.network.name, self.kernel, *self.updates.values()))

    def _problem(self, what: str) -> NexortError:
        message = f"this training cannot be written out: {what}"
        return fail("not-expandable", message, self.network.span, help="nexort eval evaluates it")

    def write(self, step: Affine) -> Writer:
        """Writes graphs at a step."""
        return self.analysis.writer(step, self.moving)

    def lines(self) -> list[str]:
        """The program between the declarations and the outputs."""
        a = self.analysis
        now = Affine.variable(a.step)
        write = self.write(now)
        parts: list[Section] = [
            ("weights at initialization; kets do not move", self.initial(write)),
            ("forward pass", written(forward(a.rules.items), write)),
            ("backward pass (Def 2.9.14)", written(a.backward, write)),
            ("output at initialization", self.start()),
        ]
        steps: list[Section] = [
            ("error signal", error_lines(a, write)),
            ("update functions", written(self.steps(), write)),
            ("operator K_Q (Thm 2.9.23)", self.output(write)),
        ]
        return [*joined(parts), "", f"for {a.step} in 0..{self.last}-1 {{", *joined(steps), "}"]

    def initial(self, write: Writer) -> list[str]:
        """The weights, whose initial values the kets keep."""
        found = []
        for weight in self.network.weights.values():
            lines = initial_lines(self.analysis, weight, self.loops[weight.name], write, fixed=True)
            found += [line for some in lines for line in some]
        return found

    def start(self) -> list[str]:
        """f_0: given, or zero."""
        training = self.analysis.training
        write = self.write(Affine(0))
        name = write.name(self.network.name, ())
        type_ = self.analysis.rules.output.value.type
        if isinstance(training.start, Node):
            return [f"{name} = {write(training.start)}"]
        if training.start == "centre" or self.vanishes:
            return [f"{name} = {write(build.spread(build.constant(0), type_))}"]
        message = "this training cannot be written out: its output starts as a Gaussian process"
        hint = "subtract it with centre, or give it with start f0"
        raise fail("not-expandable", message, training.span, help=hint)

    # ---- updates -------------------------------------------------------------------------------

    def steps(self) -> list[Statement]:
        """The update of every weight, Q_t(G_0, ..., G_t)."""
        a = self.analysis
        found: list[Statement] = []
        for weight in self.network.weights.values():
            if weight.kind == "scalar":
                continue
            loops = self.loops[weight.name]
            key = tuple(Affine.variable(x.var) for x in loops)

            def make(
                env: dict[str, int],
                weight: WeightFamily = weight,
                key: tuple[Affine, ...] = key,
            ) -> list[Statement]:
                member = weight.name, tuple(i.value(env) for i in key)
                moves = moves_of(a.training, member, a.base)
                if any(not build.is_number(k, 0) for k in moves.keep):
                    raise self._problem("weights decay")
                gradients = gradient(a.rounds, weight, key, env, a.values)
                if gradients is None or not a.active.get(member, True):
                    return []
                parts = (weight, key, (gradients.value, gradients.pairs), moves.use)
                return [Line(parts, self._update)]

            found += over_members(loops, a.base, make)
        return found

    def _update(self, write: Writer, parts: tuple[object, ...]) -> str:
        """Q_t(g_0, ..., g_t)"""
        weight, key, found, use = parts
        assert isinstance(weight, WeightFamily)
        assert isinstance(key, tuple)
        name = write.name(self.updates[weight.name], key)
        target = f"|{name}>" if weight.kind == "vector" else name
        call = update_call(self.analysis, found, use, write, self.moving)  # type: ignore[arg-type]
        return f"{target} = {call}"

    # ---- K_Q -----------------------------------------------------------------------------------

    def output(self, write: Writer) -> list[str]:
        """f_{t+1} = f_t - eta K_Q."""
        a = self.analysis
        terms = [
            *self._items(a.rules.items, dict(a.base)),
            *self._terms(a.rules.output, dict(a.base)),
        ]
        rates = self._rates(terms)
        shared = rates[0] if len(set(rates)) == 1 else None
        total = self._sum(terms, write, shared)
        kernel = write.name(self.kernel, ())
        then = self.write(write.step + Affine(1)).name(self.network.name, ())
        factor = ""
        if shared is not None and not build.is_number(shared, 1):
            factor = f"{write.at(shared, UNARY)} * "
        now = write.name(self.network.name, ())
        return [f"{kernel} = {total}", f"{then} = {now} - {factor}{kernel}"]

    def _items(self, items: Sequence[Item], env: dict[str, int]) -> list[Statement]:
        found: list[Statement] = []
        for item in items:
            if isinstance(item, Rule):
                found += self._terms(item, env)
            else:
                found += self._nest(item, env)
        return found

    def _nest(self, nest: Nest, env: dict[str, int]) -> list[Statement]:
        values = nest.loop.interval.values(env)
        bodies = [(v, tuple(self._items(nest.items, {**env, nest.loop.var: v}))) for v in values]
        return looped(nest.loop, bodies, values)

    def _terms(self, rule: Rule, env: dict[str, int]) -> list[Statement]:
        """What the updates of the weights that a rule reads do to the output."""
        a = self.analysis
        if not a.rounds.reaches(rule, env):
            return []
        found: list[Statement] = []
        for use in a.uses[rule]:
            weight = self.network.weights.get(use.name)
            if weight is None or weight.kind == "scalar":
                continue
            inside = use.loops[len(rule.loops) :]
            if any(n in {x.var for x in inside} for i in use.key for n, _ in i.terms):
                raise self._problem(f"members of '{use.name}' in a sum")
            member = use.name, tuple(i.value(env) for i in use.key)
            if not a.active.get(member, True):
                continue
            rate = moves_of(a.training, member, a.base).use.rate
            name = self.updates[use.name]
            if weight.kind == "matrix":
                found += [
                    Line((rate, name, use.key, pair, inside), self._matrix) for pair in use.pairs
                ]
                continue
            assert use.value is not None
            towards = leaf(name, use.key, member_type(weight))
            change = moved_by(rule.value, use.name, use.key, towards)
            if change is None:
                raise self._problem(f"'{use.name}' inside an expectation")
            found.append(Line((rate, self._seen(rule, change)), self._vector))
        return found

    def _seen(self, rule: Rule, change: Node) -> Node:
        """What the output sees of a change of a rule's target."""
        if rule is self.analysis.rules.output:
            return change
        cotangent = leaf(self.analysis.names.cotangent(rule.name), rule.key, rule.value.type)
        if change.type.kind is Kind.SCALAR:
            return build.call("mul", cotangent, change)
        self._one_axis(cotangent)
        inner = build.inner(cotangent, change)
        return Node(Op.DIAGONAL, (inner,), None, self._type()) if inner.type.axes else inner

    def _type(self) -> Type:
        return self.analysis.rules.output.value.type

    def _one_axis(self, ket: Node) -> None:
        if ket.type.axes != self.analysis.rules.output.value.type.axes:
            raise self._problem("kets with more axes than the output")

    def _vector(self, write: Writer, parts: tuple[object, ...]) -> str:
        node = parts[1]
        assert isinstance(node, Node)
        return write.at(node, PRODUCT)

    def _matrix(self, write: Writer, parts: tuple[object, ...]) -> str:
        """Diag <dg| Q |y>."""
        _, name, key, pair, sums = parts
        assert isinstance(pair, tuple)
        left, right = pair
        self._one_axis(left)
        acting = write.name(str(name), key)  # type: ignore[arg-type]
        text = f"<{write(left)[1:-1]}|{acting}{write(right)}"
        text = f"diag({text})" if left.type.axes else text
        for loop in reversed(sums):  # type: ignore[call-overload]
            text = f"sum({loop.var} in {write.range(loop.interval)}) {text}"
        return text

    # ---- sums ----------------------------------------------------------------------------------

    def _rates(self, terms: Sequence[Statement]) -> list[Node]:
        found: list[Node] = []
        for x in terms:
            if isinstance(x, Each):
                found += self._rates(x.body)
            elif isinstance(x, Line):
                rate = x.parts[0]
                assert isinstance(rate, Node)
                found.append(rate)
        return found

    def _sum(self, terms: Sequence[Statement], write: Writer, shared: Node | None) -> str:
        """The terms added, each times its rate where they do not share it."""
        shown = []
        for x in terms:
            if isinstance(x, Each):
                body = self._sum(x.body, write, shared)
                body = f"({body})" if len(x.body) > 1 else body
                shown.append(f"sum({x.var} in {write.range(x.interval)}) {body}")
                continue
            assert isinstance(x, Line)
            [text] = x.lines(write)
            if shared is None:
                rate = x.parts[0]
                assert isinstance(rate, Node)
                text = f"{write.at(rate, UNARY)} * {text}"
            shown.append(text)
        return " + ".join(shown)
