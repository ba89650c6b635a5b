"""Finds what could make two validators compute different bytes: floats, clocks, randomness, unordered walks.

Run `python -m tools.determinism [PATH ...]`; without paths it reads the consensus code. A comment
`# determinism: why` on the line, or alone on the line above, allows what stands there for that reason.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSENSUS = (
    "abci_app/kernel",
    "abci_app/modules",
    "abci_app/stages.py",
    "abci_app/formation.py",
    "abci_app/ante.py",
    "abci_app/block_ends.py",
    "abci_app/app.py",
    "abci_app/genesis.py",
    "protocol",
)
GENERATED = ROOT / "protocol" / "gen"

FORBIDDEN_IMPORTS = frozenset(
    [
        "asyncio",
        "concurrent",
        "datetime",
        "multiprocessing",
        "os",
        "platform",
        "random",
        "secrets",
        "select",
        "signal",
        "socket",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "uuid",
    ]
)
EXACT_MATH = frozenset(["comb", "factorial", "gcd", "isqrt", "lcm", "perm", "prod"])
SET_METHODS = frozenset(["difference", "intersection", "symmetric_difference", "union"])
SET_TYPES = frozenset(["AbstractSet", "FrozenSet", "MutableSet", "Set", "frozenset", "set"])
# What these return does not depend on the order in which they walk.
ORDER_BLIND = frozenset(["all", "any", "frozenset", "len", "set", "sorted", "sum"])
# These walk their arguments and hand the order on.
WALKERS = frozenset(
    [
        "bytes",
        "dict",
        "enumerate",
        "filter",
        "iter",
        "list",
        "map",
        "max",
        "min",
        "next",
        "reversed",
        "tuple",
        "zip",
    ]
)
ALLOW = re.compile(r"#\s*determinism:\s*\S")

Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef
Comprehension = ast.ListComp | ast.GeneratorExp | ast.DictComp | ast.SetComp


@dataclass(frozen=True, order=True)
class Finding:
    path: str
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


def name_of(node: ast.expr | None) -> str:
    """The last part of a dotted name; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def is_set_type(annotation: ast.expr | None) -> bool:
    if isinstance(annotation, ast.Subscript):
        annotation = annotation.value
    return name_of(annotation) in SET_TYPES


def is_set(node: ast.expr | None, known: frozenset[str]) -> bool:
    """Whether an expression is surely a set; known are names (`x`), attributes (`.x`), functions (`x()`)."""
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Name(id=name):
            return name in known
        case ast.Attribute(attr=attr):
            return f".{attr}" in known
        case ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.Call(func=function) if f"{name_of(function)}()" in known:
            return True
        case ast.Call(func=ast.Attribute(value=value, attr=attr)):
            return attr in SET_METHODS or (attr == "copy" and is_set(value, known))
        case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.BitXor() | ast.Sub(), right=right):
            return any(is_set(side, known) or is_key_view(side) for side in (left, right))
        case ast.IfExp(body=body, orelse=orelse):
            return is_set(body, known) or is_set(orelse, known)
        case ast.NamedExpr(value=value):
            return is_set(value, known)
    return False


def is_key_view(node: ast.expr) -> bool:
    """Whether an expression is `x.keys()` or `x.items()`, which set operators turn into a set."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"keys", "items"}
    )


def own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of one scope, without those of the functions and classes inside it."""
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, Scope):
            yield from own_nodes(child)


def names_of_sets(scope: Scope, outer: frozenset[str]) -> frozenset[str]:
    """The names that hold a set in a scope: by annotation, as a parameter, or by assignment."""
    names = set(outer)
    if not isinstance(scope, ast.Module | ast.ClassDef):
        args = scope.args
        parameters = [*args.posonlyargs, *args.args, *args.kwonlyargs]
        names -= {argument.arg for argument in parameters}
        names |= {argument.arg for argument in parameters if is_set_type(argument.annotation)}
    for node in own_nodes(scope):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if is_set(value, frozenset(names)):
                names.add(name)
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if is_set_type(annotation):
                names.add(name)
    return frozenset(names)


def members_of_sets(tree: ast.Module) -> frozenset[str]:
    """Anywhere in a file: the attributes (`.x`) that are sets and the functions (`x()`) that return one."""
    known: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name, returns=returns) if is_set_type(returns):
                known.add(f"{name}()")
            case ast.AnnAssign(target=target, annotation=annotation) if is_set_type(annotation):
                known.add(f".{name_of(target)}")
            case ast.Assign(targets=[ast.Attribute(attr=attr)], value=value) if is_set(value, frozenset()):
                known.add(f".{attr}")
    return frozenset(known)


class Linter(ast.NodeVisitor):
    """Collects the findings of one file."""

    def __init__(self, path: str, source: str) -> None:
        self.path = path
        self.lines = source.splitlines()
        self.sets: frozenset[str] = frozenset()
        self.blind: set[int] = set()  # ids of comprehensions whose order nobody sees
        self.findings: list[Finding] = []

    def report(self, node: ast.AST, rule: str, text: str) -> None:
        line = getattr(node, "lineno", 1)
        above = self.lines[line - 2].strip() if line > 1 else ""
        if ALLOW.search(self.lines[line - 1]) or (above.startswith("#") and ALLOW.search(above)):
            return
        self.findings.append(Finding(self.path, line, rule, text))

    def visit_scope(self, node: Scope) -> None:
        outer = self.sets
        self.sets = names_of_sets(node, outer)
        self.generic_visit(node)
        self.sets = outer

    visit_Module = visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = visit_ClassDef = visit_scope  # noqa: N815

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, float | complex):
            self.report(node, "float", f"the literal {node.value!r} is no integer")

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in {"float", "complex"}:
            self.report(node, "float", f"`{node.id}` is not exact")

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.check_operator(node, node.op, node.right)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.check_operator(node, node.op, node.value)
        self.generic_visit(node)

    def check_operator(self, node: ast.AST, operator: ast.operator, right: ast.expr) -> None:
        if isinstance(operator, ast.Div):
            self.report(node, "division", "`/` makes a float; use `//` or a named rounding")
        if (
            isinstance(operator, ast.Pow)
            and isinstance(right, ast.UnaryOp)
            and isinstance(right.op, ast.USub)
        ):
            self.report(node, "float", "a negative power makes a float")

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.check_import(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level == 0 and node.module:
            self.check_import(node, node.module)
            if node.module == "math":
                for alias in node.names:
                    self.check_math(node, alias.name)

    def check_import(self, node: ast.AST, module: str) -> None:
        if module.partition(".")[0] in FORBIDDEN_IMPORTS:
            self.report(node, "import", f"`{module}` differs between machines or runs")

    def check_math(self, node: ast.AST, function: str) -> None:
        if function not in EXACT_MATH:
            self.report(node, "float", f"`math.{function}` computes with floats")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.value.id == "math":
            self.check_math(node, node.attr)
        self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        for kind in caught:
            if kind is None or name_of(kind) in {"Exception", "BaseException"}:
                self.report(node, "except", "catches our own bugs as well; name what is expected")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        if called in {"hash", "id"}:
            self.report(node, "hash", f"`{called}()` differs from process to process")
        keyed = any(keyword.arg == "key" for keyword in node.keywords)
        if called in ORDER_BLIND and not (called == "sorted" and keyed):
            self.blind.update(id(argument) for argument in node.args)
        if called in WALKERS and not (called in {"min", "max"} and not keyed):
            for argument in node.args:
                self.check_walk(argument, f"`{called}()`")
        if called == "sorted" and keyed and node.args:
            self.check_walk(node.args[0], "`sorted(key=...)`, where equal keys keep the set's order,")
        if isinstance(node.func, ast.Attribute) and node.func.attr in {"join", "extend", "fromkeys"}:
            for argument in node.args:
                self.check_walk(argument, f"`{node.func.attr}()`")
        if isinstance(node.func, ast.Attribute) and node.func.attr == "pop" and not node.args:
            self.check_walk(node.func.value, "`pop()`")
        self.generic_visit(node)

    def check_walk(self, node: ast.expr, by: str) -> None:
        if is_set(node, self.sets):
            self.report(node, "set-order", f"{by} walks a set in an order that is not ours; use sorted()")

    def visit_For(self, node: ast.For) -> None:
        self.check_walk(node.iter, "the loop")
        self.generic_visit(node)

    def visit_Starred(self, node: ast.Starred) -> None:
        self.check_walk(node.value, "`*`")
        self.generic_visit(node)

    def visit_YieldFrom(self, node: ast.YieldFrom) -> None:
        self.check_walk(node.value, "`yield from`")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if any(isinstance(target, ast.Tuple | ast.List) for target in node.targets):
            self.check_walk(node.value, "unpacking")
        self.generic_visit(node)

    def visit_comprehension_of(
        self, node: ast.ListComp | ast.GeneratorExp | ast.DictComp | ast.SetComp
    ) -> None:
        if id(node) not in self.blind and not isinstance(node, ast.SetComp):
            for generator in node.generators:
                self.check_walk(generator.iter, "the comprehension")
        self.generic_visit(node)

    visit_ListComp = visit_GeneratorExp = visit_DictComp = visit_SetComp = visit_comprehension_of  # noqa: N815


def lint_text(source: str, path: str = "<text>") -> list[Finding]:
    """The findings in one module's source, in order of lines; raises SyntaxError on what is no Python."""
    tree = ast.parse(source, filename=path)
    linter = Linter(path, source)
    linter.sets = members_of_sets(tree)
    linter.visit(tree)
    return sorted(linter.findings)


def files(paths: list[Path]) -> Iterator[Path]:
    """The Python files under the paths in order, without generated code; an absent path has none."""
    for path in paths:
        found = sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.is_file() else []
        yield from (file for file in found if GENERATED not in file.resolve().parents)


def main(arguments: list[str]) -> int:
    """Prints each finding; returns 1 if there is any."""
    paths = [Path(argument) for argument in arguments] or [ROOT / part for part in CONSENSUS]
    read = list(files(paths))
    findings = [finding for file in read for finding in lint_text(file.read_text("utf-8"), str(file))]
    for finding in findings:
        print(finding)
    print(f"determinism: {len(read)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
