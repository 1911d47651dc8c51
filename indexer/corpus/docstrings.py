"""The docstrings of installed packages, read from their source files without importing them."""

import ast
import functools
import importlib.util
import inspect
import os
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from indexer.corpus.entries import Entry, File, Input, Row, walk
from indexer.corpus.fields import Fields, Record
from indexer.corpus.lines import Source
from indexer.errors import ClozeError

STDLIB = "stdlib"
_DEFAULT_PACKAGES = (STDLIB, "numpy", "scipy", "faiss")
_NOT_IN_PACKAGES = frozenset({"tests", "__pycache__"})
_NOT_IN_STDLIB = _NOT_IN_PACKAGES | {"test", "idlelib", "lib2to3", "turtledemo"}

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Scope = ast.Module | ast.ClassDef | _Function


@dataclass(frozen=True, slots=True, kw_only=True)
class _Docstring:
    line: int
    name: str
    kind: str
    module: str
    text: str


def docstring_input(packages: Sequence[str] | None) -> Input:
    """Return the source files of some packages as an input; None means the default ones.

    "stdlib" stands for the standard library. A package that the user names and that is not
    installed is a ClozeError; of the default ones those that are absent are left out.
    """
    found: dict[str, list[str]] = {}
    for package in packages or _DEFAULT_PACKAGES:
        roots = _roots(package)
        if roots:
            found[package] = roots
        elif packages is not None:
            raise ClozeError(
                f"docstrings:{package}: no top-level package of this name has Python source here; "
                f"install it, or name others, such as docstrings:{','.join(_DEFAULT_PACKAGES)}"
            )
    size = sum(file.size for package in found for _, file in _files(package, found[package]))
    return Input(size=size, entries=functools.partial(_entries, found))


def _roots(package: str) -> list[str]:
    """Return the folders or the one file that a package is made of; nothing is imported."""
    if package == STDLIB:
        return [sysconfig.get_path("stdlib")]
    # A dotted name would make find_spec import the package that holds it.
    if not package.isidentifier():
        return []
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return list(spec.submodule_search_locations)
    return [spec.origin] if spec.origin and spec.origin.endswith(".py") else []


def _files(package: str, roots: Sequence[str]) -> Iterator[tuple[str, File]]:
    """Yield the name of every module of a package, with its file, in order of the paths."""
    left_out = _NOT_IN_STDLIB if package == STDLIB else _NOT_IN_PACKAGES
    for root in roots:
        if os.path.isfile(root):
            name = os.path.basename(root)
            yield package, File(path=root, relative=name, size=os.path.getsize(root))
            continue
        # A folder such as site-packages is no package: its name is not an identifier.
        files = walk(
            root,
            keep=lambda name: name.endswith(".py") and name[:-3].isidentifier(),
            enter=lambda name: name.isidentifier() and name not in left_out,
        )
        for file in files:
            parts = file.relative.removesuffix(".py").split("/")
            inner = parts[:-1] if parts[-1] == "__init__" else parts
            yield ".".join(inner if package == STDLIB else [package, *inner]), file


def _entries(found: dict[str, list[str]]) -> Iterator[Entry]:
    seen: set[str] = set()
    for package, roots in found.items():
        for module, file in _files(package, roots):
            read = functools.partial(_read_module, package=package, module=module, seen=seen)
            yield Entry(path=file.path, relative=file.relative, size=file.size, read=read)


def _read_module(
    source: Source, fields: Fields, *, package: str, module: str, seen: set[str]
) -> Iterator[Row]:
    """Yield the docstrings of one source file whose names are not in `seen`, and add them to it.

    Overloads, the branches of an "if" and property setters repeat a name: the first one counts.
    """
    tree = _parse(source.whole())
    if tree is None:
        return
    # The calls in a module document what the package around it shows to its users.
    around = module.rpartition(".")[0] or module
    for found in (*_definitions(tree, module), *_added(tree, around)):
        if found.text.strip() and found.name not in seen:
            seen.add(found.name)
            metadata = {"package": package, "kind": found.kind, "module": found.module}
            record = Record(id=found.name, title=found.name, text=found.text, metadata=metadata)
            yield found.line, record


def _parse(code: bytes | None) -> ast.Module | None:
    if code is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # Templates and files for other versions of Python lie in packages too.
        return None


def _definitions(tree: ast.Module, module: str) -> Iterator[_Docstring]:
    """Yield the docstrings of a module and of what is public in it, in order.

    A module is taken whatever its name: much that is public is defined in a private one.
    """
    pending: list[tuple[_Scope, str, str]] = [(tree, module, "module")]
    while pending:
        scope, name, kind = pending.pop()
        text = ast.get_docstring(scope) or ""
        line = getattr(scope, "lineno", 1)
        yield _Docstring(line=line, name=name, kind=kind, module=module, text=text)
        if isinstance(scope, ast.Module | ast.ClassDef):
            inner = "method" if isinstance(scope, ast.ClassDef) else "function"
            below: list[tuple[_Scope, str, str]] = [
                (node, f"{name}.{node.name}", "class" if isinstance(node, ast.ClassDef) else inner)
                for node in _statements(scope)
                if isinstance(node, ast.ClassDef | _Function) and not node.name.startswith("_")
            ]
            pending.extend(reversed(below))


def _statements(scope: ast.Module | ast.ClassDef) -> Iterator[ast.AST]:
    """Yield the statements of a scope, also those in its "if", "try" and "with", in order."""
    pending: list[ast.AST] = list(reversed(scope.body))
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, ast.ClassDef | _Function):
            inner = (ast.stmt, ast.ExceptHandler, ast.match_case)
            below = [child for child in ast.iter_child_nodes(node) if isinstance(child, inner)]
            pending.extend(reversed(below))


def _added(tree: ast.Module, around: str) -> Iterator[_Docstring]:
    """Yield the docstrings given to compiled objects by calls of add_newdoc with literals.

    The forms are numpy's (place, name, text) and (place, name, (attribute, text)), and scipy's
    (name, text), whose place is `around`.
    """
    for node in _statements(tree):
        match node:
            case ast.Expr(value=ast.Call(func=function, args=arguments)) if _adds(function):
                values = _literals(arguments)
            case _:
                continue
        match values:
            case [str(place), str(name), str(text)]:
                yield from _compiled(node, place, name, "function", text)
            case [str(place), str(owner), (str(name), str(text))]:
                yield from _compiled(node, place, f"{owner}.{name}", "method", text)
            case [str(name), str(text)]:
                yield from _compiled(node, around, name, "function", text)


def _adds(function: ast.expr) -> bool:
    return isinstance(function, ast.Name | ast.Attribute) and ast.unparse(function).endswith(
        "add_newdoc"
    )


def _literals(arguments: list[ast.expr]) -> list[object]:
    try:
        return [ast.literal_eval(argument) for argument in arguments]
    except ValueError:
        return []


def _compiled(node: ast.Expr, place: str, name: str, kind: str, text: str) -> Iterator[_Docstring]:
    full = f"{place}.{name}"
    if all(part.isidentifier() for part in full.split(".")):
        text = inspect.cleandoc(text)
        yield _Docstring(line=node.lineno, name=full, kind=kind, module=place, text=text)
