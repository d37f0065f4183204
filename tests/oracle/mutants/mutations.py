"""Every single-token mutation of the library's equation functions, by their syntax trees."""

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import copi_ref

PACKAGE = Path(copi_ref.__file__).parent

OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.MatMult)
COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
ATTRIBUTES = (
    {"W", "R"},
    {"x", "a", "y"},
    {"eta_w", "eta_r"},
    {"weight_rule", "lateral_rule"},
    {"sum", "mean", "max", "prod"},
    {"numerator", "denominator"},
)
"""Attributes that stand for one another."""

BY_WORD = ("checks", "_check_update", "_decayed", "_scaled")
"""Statements that call these are left as they are: argument checks, and what the default recipe leaves out."""


@dataclass(frozen=True)
class Target:
    """Code to mutate.

    Args:
        file: in the package.
        function: its name, for the report.
        parts: ``(module's tree) -> (nodes to mutate, names in scope)``.
        configurations: names of conventions under which it runs.
        only: the functions of the contract that it is part of.
    """

    file: str
    function: str
    parts: Callable[[ast.Module], tuple[list[ast.AST], set[str]]]
    configurations: tuple[str, ...]
    only: tuple[str, ...]


@dataclass(frozen=True)
class Mutation:
    """A mutated file of the package, and what was changed in it."""

    target: Target
    before: str
    after: str
    source: str

    @property
    def key(self) -> str:
        """Of the table of survivors."""
        return f"{self.target.function}: {self.before} -> {self.after}"


def mutations(target: Target) -> Iterator[Mutation]:
    """Every mutation of a target, each once."""
    source = (PACKAGE / target.file).read_text(encoding="utf-8")
    seen = {ast.unparse(ast.parse(source))}
    number = 0
    while True:
        tree = ast.parse(source)
        parts, names = target.parts(tree)
        places = [(part, node) for part in parts for node in ast.walk(part)]
        functions = _arities(tree)
        changes = [(part, change) for part, node in places for change in _changes(node, part, names, functions)]
        if number == len(changes):
            return
        part, change = changes[number]
        number += 1
        before = ast.unparse(_shown(part))
        change()
        ast.fix_missing_locations(tree)
        mutated = ast.unparse(tree)
        if mutated not in seen:
            seen.add(mutated)
            yield Mutation(target, before, ast.unparse(_shown(part)), mutated)


def _shown(part: ast.AST) -> ast.AST:
    """A statement; of a loop, its head."""
    if isinstance(part, ast.For):
        part = copy.deepcopy(part)
        part.body = [ast.Expr(ast.Constant(...))]
    return part


# --- changes of one node ----------------------------------------------------------------------------------------------


def _changes(node: ast.AST, part: ast.AST, names: set[str], functions: dict[str, int]) -> Iterator[Callable[[], None]]:
    """Each change of a node, as a function that makes it in the tree."""
    if isinstance(part, ast.For) and not _in_head(node, part):
        return
    for field, child in ast.iter_fields(node):
        children = child if isinstance(child, list) else [child]
        for at, one in enumerate(children):
            index = at if isinstance(child, list) else None
            if isinstance(one, ast.AST):
                for new in _replacements(one, node, field, names, functions):
                    yield lambda new=new, index=index, field=field: _put(node, field, index, new)
    if isinstance(node, ast.Slice):
        yield from (
            lambda bound=bound: setattr(node, bound, None)
            for bound in ("lower", "upper", "step")
            if getattr(node, bound) is not None
        )
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        indices = node.slice.elts
        for at in range(len(indices)):
            yield lambda at=at: indices.pop(at)
            if at:
                yield lambda at=at: indices.insert(at - 1, indices.pop(at))


def _in_head(node: ast.AST, loop: ast.For) -> bool:
    return any(node is one for head in (loop.target, loop.iter) for one in ast.walk(head))


def _put(node: ast.AST, field: str, index: int | None, new: ast.AST) -> None:
    if index is None:
        setattr(node, field, new)
    else:
        getattr(node, field)[index] = new


def _replacements(
    one: ast.AST, parent: ast.AST, field: str, names: set[str], functions: dict[str, int]
) -> Iterator[ast.AST]:
    """What may stand in place of a node."""
    if isinstance(one, ast.operator):
        yield from (other() for other in OPERATORS if not isinstance(one, other))
    elif isinstance(one, ast.cmpop):
        yield from (other() for other in COMPARISONS if not isinstance(one, other))
    elif isinstance(one, ast.UnaryOp) and isinstance(one.op, ast.USub):
        yield from _other_numbers(one) if isinstance(one.operand, ast.Constant) else (one.operand,)
    elif isinstance(one, ast.Constant) and type(one.value) is int and not isinstance(parent, ast.UnaryOp):
        yield from _other_numbers(one)
    elif isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load):
        yield from _other_names(one, parent, field, names, functions)
    elif isinstance(one, ast.Attribute):
        for group in ATTRIBUTES:
            if one.attr in group:
                yield from (ast.Attribute(one.value, other, one.ctx) for other in sorted(group - {one.attr}))
        yield one.value
    elif isinstance(one, ast.Call) and len(one.args) == 1 and not one.keywords:
        yield one.args[0]


def _other_numbers(one: ast.AST) -> Iterator[ast.AST]:
    value = ast.literal_eval(one)
    yield from (ast.Constant(other) for other in dict.fromkeys((value - 1, value + 1, -value)) if other != value)


def _other_names(
    one: ast.Name, parent: ast.AST, field: str, names: set[str], functions: dict[str, int]
) -> Iterator[ast.AST]:
    if isinstance(parent, ast.Call) and field == "func" and one.id in functions:
        same = (name for name, arity in functions.items() if arity == functions[one.id] and name != one.id)
        yield from (ast.Name(other, ast.Load()) for other in same)
        return
    if one.id in names:
        yield from (ast.Name(other, ast.Load()) for other in sorted(names - {one.id}))
        if isinstance(parent, ast.BinOp) or (isinstance(parent, ast.Call) and field == "args"):
            yield ast.Attribute(one, "mT", ast.Load())


def _arities(tree: ast.Module) -> dict[str, int]:
    return {node.name: len(node.args.args) for node in tree.body if isinstance(node, ast.FunctionDef)}


# --- targets ----------------------------------------------------------------------------------------------------------


Parts = tuple[list[ast.AST], set[str]]
"""Nodes to mutate, and the names that may stand for one another in them."""


def _statements(tree: ast.Module, name: str, words: tuple[str, ...] = ()) -> Parts:
    """The statements of a top-level function; of those with `words` in them, if any are given."""
    (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    statements: list[ast.AST] = [
        node
        for node in ast.walk(function)
        if isinstance(node, (ast.Assign, ast.Return, ast.Expr, ast.For))
        and not isinstance(getattr(node, "value", None), ast.Constant)
        and not any(word in ast.unparse(_shown(node)) for word in BY_WORD)
        and (not words or any(word in ast.unparse(_shown(node)) for word in words))
    ]
    return statements, _names(function)


def _lambdas(tree: ast.Module, name: str, places: tuple[int, ...]) -> Parts:
    """The lambdas at some places of the call that makes a top-level constant."""
    (made,) = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
    )
    return _called_with(made, places, set())


def _exact_leak(tree: ast.Module) -> Parts:
    """The lambdas of a leaky ReLU whose slope is a Fraction."""
    (function,) = (node for node in tree.body if getattr(node, "name", "") == "_exact_leaky_relu")
    (made,) = (node.value for node in function.body if isinstance(node, ast.Return))
    return _called_with(made, (1, 2), {"p", "q", "slope"})


def _called_with(made: ast.AST | None, places: tuple[int, ...], more: set[str]) -> Parts:
    assert isinstance(made, ast.Call)
    chosen = [made.args[at] for at in places]
    return list(chosen), more.union(*(_names(one) for one in chosen))


def _names(function: ast.AST) -> set[str]:
    stored = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return stored | {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}


def _of(name: str, words: tuple[str, ...] = ()) -> Callable[[ast.Module], Parts]:
    return partial(_statements, name=name, words=words)


def _lambdas_of(name: str, *places: int) -> Callable[[ast.Module], Parts]:
    return partial(_lambdas, name=name, places=places)


_PLAIN, _LEAKS, _CREDITS = ("right",), ("right", "slope 3/8"), ("right", "fa", "dfa", "tanh")
_WEIGHT, _LATERAL, _NETWORK = ("copi_update",), ("decorrelation_update",), ("forward", "perturbations", "step")

TARGETS = (
    Target("arrays/moments.py", "mean_outer", _of("mean_outer"), _PLAIN, (*_WEIGHT, "sgd_update", *_LATERAL, "step")),
    Target("arrays/moments.py", "mean_square", _of("mean_square"), _PLAIN, (*_WEIGHT, *_LATERAL, "step")),
    Target("arrays/products.py", "apply", _of("apply"), ("left", "right", "fa"), (*_LATERAL, *_NETWORK)),
    Target("learning_rules.py", "copi_update", _of("copi_update"), _PLAIN, (*_WEIGHT, "step")),
    Target("learning_rules.py", "sgd_update", _of("sgd_update"), _PLAIN, ("sgd_update",)),
    Target("decorrelation.py", "_left", _of("_left"), ("left", "symmetric"), (*_LATERAL, "step")),
    Target("decorrelation.py", "_right", _of("_right"), _PLAIN, (*_LATERAL, "step")),
    Target("decorrelation.py", "_symmetric", _of("_symmetric"), ("symmetric",), (*_LATERAL, "step")),
    Target("network.py", "forward", _of("forward"), _PLAIN, _NETWORK),
    Target("network.py", "decorrelated", _of("decorrelated"), _PLAIN, _NETWORK),
    Target("activations.py", "_exact_leaky_relu", _exact_leak, _LEAKS, _NETWORK),
    Target("activations.py", "_one_or", _of("_one_or"), _LEAKS, _NETWORK),
    Target("activations.py", "relu", _lambdas_of("relu", 1, 2), ("relu",), _NETWORK),
    Target("activations.py", "identity", _lambdas_of("identity", 1, 2), ("identity",), _NETWORK),
    Target("losses.py", "quadratic", _lambdas_of("quadratic", 2), _PLAIN, _NETWORK),
    Target("task.py", "output_perturbation", _of("output_perturbation"), _CREDITS, _NETWORK),
    Target("credit/backpropagation.py", "backpropagation", _of("backpropagation"), ("right", "tanh"), _NETWORK),
    Target("credit/backpropagation.py", "backpropagated", _of("backpropagated"), ("right", "tanh"), _NETWORK),
    Target(
        "credit/feedback_alignment.py", "feedback_alignment", _of("feedback_alignment"), ("fa", "fa tanh"), _NETWORK
    ),
    Target("credit/feedback_alignment.py", "fed_back", _of("fed_back"), ("fa", "dfa"), _NETWORK),
    Target(
        "credit/direct_feedback_alignment.py",
        "direct_feedback_alignment",
        _of("direct_feedback_alignment"),
        ("dfa", "dfa tanh"),
        _NETWORK,
    ),
    Target(
        "algorithm.py",
        "step",
        _of("step", ("= passed.seen", "weight_update(", "direction(", "lateral_update(", "passed.eta_", "for layer")),
        _PLAIN,
        ("step",),
    ),
    Target("algorithm.py", "weight_update", _of("weight_update"), _PLAIN, ("step",)),
    Target("algorithm.py", "direction", _of("direction", ("recipe.optimizer", "return")), _PLAIN, ("step",)),
    Target("algorithm.py", "lateral_update", _of("lateral_update"), _PLAIN, ("step",)),
    Target("algorithm.py", "_perturbations", _of("_perturbations", ("seen.append(",)), _PLAIN, ("step",)),
)
"""The equation functions, and where they run."""
