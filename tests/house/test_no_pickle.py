"""No pickle and no code that comes with a model: loading a file never runs what is in it."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PICKLERS = {"_pickle", "cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
UNSAFE_CALLS = {"torch.hub.load", "torch.jit.load", "torch.load", "torch.save"}
UNSAFE_OPTIONS = {"allow_pickle", "trust_remote_code"}


def bindings(tree: ast.Module) -> dict[str, str]:
    """The dotted name that each imported local name stands for: `np` for `numpy`."""
    names = {}
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                for alias in node.names:
                    local = alias.asname or alias.name.split(".")[0]
                    names[local] = alias.name if alias.asname else local
            case ast.ImportFrom(module=str(module), level=0):
                names |= {
                    alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names
                }
    return names


def qualified(node: ast.expr, names: Mapping[str, str]) -> str:
    """The dotted name of an expression, import aliases undone; empty if it is no name."""
    match node:
        case ast.Name(id=name):
            return names.get(name, name)
        case ast.Attribute(value=value, attr=attribute):
            base = qualified(value, names)
            return f"{base}.{attribute}" if base else ""
    return ""


def is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def imported_modules(node: ast.AST, names: Mapping[str, str]) -> list[str]:
    """The modules that one statement or call imports."""
    match node:
        case ast.Import(names=aliases):
            return [alias.name for alias in aliases]
        case ast.ImportFrom(module=str(module), level=0, names=aliases):
            return [module]
        case ast.Call(func=func, args=[ast.Constant(value=str(module)), *_]):
            if qualified(func, names) in {"importlib.import_module", "__import__"}:
                return [module]
    return []


def unsafe_options(node: ast.AST) -> list[str]:
    """The options of a call or a dictionary that may let a file run code: not a literal False."""
    match node:
        case ast.Call(keywords=keywords):
            options: list[tuple[object, ast.expr]] = [(word.arg, word.value) for word in keywords]
        case ast.Dict(keys=keys, values=values):
            options = [
                (key.value if isinstance(key, ast.Constant) else None, value)
                for key, value in zip(keys, values, strict=True)
            ]
        case _:
            options = []
    return [str(name) for name, value in options if name in UNSAFE_OPTIONS and not is_false(value)]


def dangers(tree: ast.Module) -> Iterator[str]:
    """What a file does that could run code out of data, one line for each."""
    names = bindings(tree)
    for node in ast.walk(tree):
        for module in imported_modules(node, names):
            if module.split(".")[0] in PICKLERS:
                yield f"imports {module}"
        for option in unsafe_options(node):
            yield f"sets {option}"
        if isinstance(node, ast.Attribute | ast.Name) and qualified(node, names) in UNSAFE_CALLS:
            yield f"uses {qualified(node, names)}"
        if isinstance(node, ast.Call) and qualified(node.func, names) == "numpy.load":
            if "allow_pickle" not in [keyword.arg for keyword in node.keywords]:
                yield "calls numpy.load without allow_pickle=False"


def test_nothing_runs_code_out_of_data(product: Mapping[Path, ast.Module]) -> None:
    found = [f"{file} {danger}" for file, tree in product.items() for danger in dangers(tree)]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import json, dill as json5",
        "def f():\n    from joblib import load",
        "import importlib\nimportlib.import_module('shelve')",
        "__import__('marshal')",
        "import torch\ntorch.load(path, weights_only=True)",
        "import torch as t\nt.save(model, path)",
        "from torch import load as read\nread(path)",
        "import torch\nread = torch.load",
        "import torch.hub\ntorch.hub.load(repository, name)",
        "import numpy as np\nnp.load(path)",
        "from numpy import load\nload(path, mmap_mode='r')",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy as np\nnp.load(path, allow_pickle=flag)",
        "import numpy\nnumpy.save(path, array, allow_pickle=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "options = {'trust_remote_code': True}",
    ],
)
def test_a_danger_is_caught(source: str) -> None:
    assert len(list(dangers(ast.parse(source)))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np\nnp.load(path, allow_pickle=False)",
        "import numpy as np\nnp.save(path, array, allow_pickle=False)",
        "import json\njson.load(file)",
        "AutoModel.from_pretrained(name, trust_remote_code=False)",
        "from safetensors.torch import save_file\nsave_file(tensors, path)",
        "import torch\nstate = load(path)",
        "from .pickle import jar",
    ],
)
def test_safe_loading_is_allowed(source: str) -> None:
    assert list(dangers(ast.parse(source))) == []
