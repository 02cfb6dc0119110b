"""Ket nodes at indices as forms: hats, dots, and functions of Gaussian kets."""

from __future__ import annotations

from nexort import activations
from nexort.limit.exact import moments
from nexort.limit.exact.budget import NotExact
from nexort.limit.exact.forms import (
    MAX_DEGREE,
    MAX_POWER,
    NOTHING,
    SLOT,
    Factor,
    Form,
    Gaussian,
    GaussianEntry,
    Item,
    Term,
    add_forms,
    constant_form,
    free_term,
    gaussian_form,
    multiply_forms,
    opened_item,
    scale_form,
    sum_over_labels,
)
from nexort.limit.exact.labels import At, Label, NeedsPin, rename_labels
from nexort.limit.exact.meanings import Meanings, View
from nexort.limit.exact.multiplicative import of_product
from nexort.limit.exact.scalars import align_indices, select_indices, split_contraction
from nexort.limit.exact.values import Value
from nexort.program import build
from nexort.program.nodes import Node, Op, Role
from nexort.program.roundings import Rounded, known_number, rounded_number
from nexort.program.types import Kind


def form_of(engine: Meanings, node: Node, at: At) -> Form:
    """The form of a ket node at canonical indices. Raises NotExact, NeedsPin."""
    values = engine.values
    if node.type.kind is Kind.SCALAR:
        return constant_form(values, engine.scalar(node, at))
    if node.type.open:
        raise NotExact("an expectation over iid copies is sampled", node)
    match node.op:
        case Op.INIT_VECTOR:
            return Form(gaussian_form(values, [Item(values.one, GaussianEntry(node, at))]))
        case Op.MATMUL:
            hat = Form(gaussian_form(values, [Item(values.one, GaussianEntry(node, at))]))
            return add_forms(values, hat, dot(engine, node, at))
        case Op.CALL:
            return _call(engine, node, at)
        case Op.CONTRACT:
            return _contract(engine, node, at)
        case Op.STACK:
            if isinstance(at[0], Label):
                raise NeedsPin(at[0])
            return engine.form(node.args[at[0]], at[1:])
        case Op.MEAN | Op.COPY:
            raise NotExact("an expectation over iid copies is sampled", node)
        case Op.SLOT:
            raise NotExact("a ket of a law that is not known", node)
        case op if op.role is Role.SELECTION:
            return engine.form(node.args[0], select_indices(node, at))
        case _:
            raise NotExact(f"{node.op.name} has no exact route", node)


def dot(engine: Meanings, node: Node, at: At) -> Form:
    """dot(Wx) = sum over y of |y> E[d|x>/d hat(W^T y)] (Def 2.6.5, MatMul)."""
    values = engine.values
    sources = engine.dots[node]
    if not sources:
        return Form(NOTHING)
    x = engine.form(node.args[0], at)
    found = []
    for term in x.all_terms(values):
        open_term = free_term(values, term)
        for position, factor in enumerate(open_term.factors):
            items = [i for i in factor.z.items if i.atom.node in sources]
            slope = moments.slope_moment(engine, open_term, position) if items else values.zero
            for item in items if slope is not values.zero else ():
                own, bound = opened_item(values, open_term, item)
                weight = values.mul(open_term.coefficient, own.coefficient, slope)
                y = engine.form(own.atom.node.args[0], own.atom.at)
                found.append(sum_over_labels(values, scale_form(values, weight, y), bound))
    return add_forms(values, *found) if found else Form(NOTHING)


def _contract(engine: Meanings, node: Node, at: At) -> Form:
    left, right = node.args
    outer, inner, bound = split_contraction(node, at)
    try:
        return sum_over_labels(engine.values, _product(engine, left, outer, right, inner), bound)
    except NeedsPin as need:
        label = need.label
    if label not in bound:
        raise NeedsPin(label)
    rest = [x for x in bound if x != label]
    parts = []
    for k in range(engine.size(label)):
        pins = {label: k}
        x = _product(engine, left, rename_labels(outer, pins), right, rename_labels(inner, pins))
        parts.append(sum_over_labels(engine.values, x, rest))
    return add_forms(engine.values, *parts)


def _product(engine: Meanings, left: Node, outer: At, right: Node, inner: At) -> Form:
    values = engine.values
    if left.type.kind is Kind.KET and right.type.kind is Kind.KET:
        return multiply_forms(values, engine.form(left, outer), engine.form(right, inner))
    if left.type.kind is Kind.KET:
        return scale_form(values, engine.scalar(right, inner), engine.form(left, outer))
    return scale_form(values, engine.scalar(left, outer), engine.form(right, inner))


# ---- entrywise functions -------------------------------------------------------------------------


def _call(engine: Meanings, node: Node, at: At) -> Form:
    """A function of kets: linear and polynomial ones expand, others need one Gaussian argument."""
    name = str(node.attr)
    values = engine.values
    parts = [(a, align_indices(a, at)) for a in node.args]
    kinds = [a.type.kind for a, _ in parts]
    match name, kinds:
        case ("mul", [Kind.SCALAR, Kind.KET]) | ("mul" | "div", [Kind.KET, Kind.SCALAR]):
            (ket, ket_at), (number, number_at) = parts if kinds[0] is Kind.KET else parts[::-1]
            by = engine.scalar(number, number_at)
            by = values.div(values.one, by) if name == "div" else by
            return scale_form(values, by, engine.form(ket, ket_at))
        case "neg", _:
            return scale_form(values, values.number(-1), engine.form(*parts[0]))
        case "add" | "sub", _:
            forms = [_form_or_constant(engine, *p) for p in parts]
            if name == "sub":
                forms[1] = scale_form(values, values.number(-1), forms[1])
            if all(x.gaussian is not None for x in forms):
                return add_forms(values, *forms)
            return _univariate(engine, node, at) or add_forms(values, *forms)
    found = _univariate(engine, node, at)
    return found if found is not None else _expanded(engine, node, at, parts)


def _form_or_constant(engine: Meanings, node: Node, at: At) -> Form:
    if node.type.kind is Kind.SCALAR:
        return constant_form(engine.values, engine.scalar(node, at))
    return engine.form(node, at)


def _expanded(engine: Meanings, node: Node, at: At, parts: list[tuple[Node, At]]) -> Form:
    """Products, quotients and powers of kets that are functions of several Gaussians."""
    values = engine.values
    forms = [_form_or_constant(engine, *p) for p in parts]
    constants = [x.constant(values) for x in forms]
    if all(c is not None for c in constants):
        if activations.registry()[str(node.attr)].jumps:
            raise NotExact("a jump of a ket that vanishes in the limit", node)
        return constant_form(values, values.call(str(node.attr), *(c for c in constants if c)))
    match str(node.attr):
        case "mul":
            return multiply_forms(values, *forms)
        case "div":
            found = view(engine, *parts[1])
            if found is not None:
                graph = build.call("div", build.constant(1), found[0])
                return multiply_forms(values, forms[0], _of_view(engine, graph, found[1]))
        case "pow" | "square":
            power = 2 if len(forms) == 1 else constants[1].number if constants[1] else None
            most = MAX_POWER if forms[0].one_term else MAX_DEGREE
            if power is not None and power == int(power) and 0 < power <= most:
                result = forms[0]
                for _ in range(int(power) - 1):
                    result = multiply_forms(values, result, forms[0])
                return result
    numbers = [None if c is None else c.number for c in constants]
    places = [k for k, c in enumerate(numbers) if c is None]
    if len(places) == 1:
        others = [c for c in numbers if c is not None]
        split_up = of_product(values, str(node.attr), forms[places[0]], *others)
        if split_up is not None:
            return split_up
    raise NotExact(f"{node.attr} of a ket that is not a function of one Gaussian ket", node)


def _univariate(engine: Meanings, node: Node, at: At) -> Form | None:
    found = compose_views(engine, node, at)
    return None if found is None else _of_view(engine, *found)


def _of_view(engine: Meanings, graph: Node, z: Gaussian | None) -> Form:
    """f(|z>) as a form."""
    values = engine.values
    if z is None:
        return constant_form(values, values.number(*known_number(graph.attr)))
    power = monomial_power(graph)
    if power == 1:
        return Form(z)
    factor = Factor(z, power) if power else Factor(z, 0, (graph,))
    return Form(NOTHING, (Term(values.one, (factor,)),))


def monomial_power(graph: Node) -> int:
    """k where the graph is SLOT^k, else 0."""
    if graph is SLOT:
        return 1
    if graph.op is not Op.CALL:
        return 0
    match str(graph.attr):
        case "square":
            return 2 * monomial_power(graph.args[0])
        case "pow" if graph.args[1].op is Op.CONST and isinstance(graph.args[1].attr, int):
            return monomial_power(graph.args[0]) * max(0, graph.args[1].attr)
        case "mul":
            first, second = (monomial_power(a) for a in graph.args)
            return first + second if first and second else 0
    return 0


def view(engine: Meanings, node: Node, at: At) -> View | None:
    """The node as f(|z>) of one Gaussian ket: f a graph over SLOT, keeping the shape in which it
    was written, and |z>; None where it is not. A number has |z> None."""
    if node.type.kind is Kind.SCALAR:
        if node.op is Op.CONST and isinstance(node.attr, Rounded):
            return node, None
        scalar = engine.scalar(node, at)
        return None if scalar.number is None else (_literal(scalar), None)
    x = engine.form(node, at)
    if x.gaussian is not None and x.gaussian.items:
        return SLOT, x.gaussian
    fixed = x.constant(engine.values)
    if fixed is not None and fixed.number is not None:
        return _literal(fixed), None
    return compose_views(engine, node, at)


def _literal(value: Value) -> Node:
    """A number's constant, with its error; whole numbers are integers."""
    number = float(value.attr)
    whole = abs(number) < 2**53 and number == int(number) and not value.error
    return build.constant(int(number) if whole else rounded_number(number, value.error))


def compose_views(engine: Meanings, node: Node, at: At) -> View | None:
    """The view of a node by those of its arguments."""
    known = engine.views
    if (node, at) not in known:
        known[node, at] = _composed(engine, node, at)
    return known[node, at]


def _composed(engine: Meanings, node: Node, at: At) -> View | None:
    if node.op is not Op.CALL:
        if node.op.role is Role.SELECTION:
            return view(engine, node.args[0], select_indices(node, at))
        if node.op is Op.STACK and not isinstance(at[0], Label):
            return view(engine, node.args[at[0]], at[1:])
        return None
    graphs, z = [], None
    for a in node.args:
        found = view(engine, a, align_indices(a, at))
        if found is None:
            return None
        graph, own = found
        if own is not None and z is not None and own != z:
            ratio = _ratio(engine, own, z)
            if ratio is None:
                return None
            graph = _rescaled(graph, ratio)
        z = own if z is None else z
        graphs.append(graph)
    if z is None:
        return None
    return build.call(str(node.attr), *graphs), z


def _ratio(engine: Meanings, a: Gaussian, b: Gaussian) -> float | None:
    """r where a = r b, a number; else None."""
    if len(a.items) != len(b.items):
        return None
    found: float | None = None
    for x, y in zip(a.items, b.items, strict=True):
        if (x.atom, x.bound) != (y.atom, y.bound):
            return None
        (p, u), (q, v) = _parts(engine, x), _parts(engine, y)
        if u is not v or q == 0 or (found is not None and p / q != found):
            return None
        found = p / q
    return found


def _parts(engine: Meanings, item: Item) -> tuple[float, object]:
    c = item.coefficient
    if c.number is not None:
        return c.number, engine.values.one
    if c.attr == "mul" and c.args[0].number is not None:
        return c.args[0].number, engine.values.mul(*c.args[1:])
    return 1.0, c


def _rescaled(graph: Node, ratio: float) -> Node:
    """f(r z) from f(z)."""
    inner = build.call("mul", build.constant(ratio), SLOT)
    if graph is SLOT:
        return inner
    if graph.op is not Op.CALL:
        return graph
    return build.call(str(graph.attr), *(_rescaled(a, ratio) for a in graph.args))
