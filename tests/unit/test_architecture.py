"""The rules of the house, read from the sources: who may import whom, what importing costs, how long things may be."""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import cloudbridge_store

ROOT = Path(cloudbridge_store.__file__).parent
PACKAGE = ROOT.name

# From the bottom up. A module imports from its own layer and from those below; a name stands for what is below it too.
LAYERS = (
    ("errors", "filesystem", "checksums", "sinks", "redaction"),
    ("config",),
    ("drivers.base", "drivers.capabilities", "drivers.values"),
    ("drivers",),
    ("results",),
    ("core",),
    ("resources", "uploads", "descriptions", "objects", "contents", "buckets", "pending", "provider", "factory"),
    ("",),
    ("interfaces", "testing", "cli", "sync", "integrations"),
)
OPEN_TO_DRIVERS = {
    "errors", "config", "filesystem", "checksums", "sinks", "redaction", "drivers.base", "drivers.capabilities", "drivers.values", "drivers.gateway", "drivers.http", "drivers.presets", "drivers.streams", "drivers.swift_presets",
}  # fmt: skip
OPEN_TO_FRONT_ENDS = {"", "errors", "config", "results", "drivers.base"}
FRONT_ENDS = ("cli", "sync", "integrations")

LONGEST_FUNCTION, LONGEST_FILE = 30, 450
MOST_MODULES = 160
HEAVY = ("tenacity", "platformdirs", "click", "tqdm", "boto3", "azure", "google", "openstack", "fsspec", "pytest")
STEPS = {"initialize", "invariant", "rule"}  # of a hypothesis state machine: tests, like those named so

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Import(NamedTuple):
    """One import of something of ours."""

    importer: str
    line: int
    target: str

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target or PACKAGE}"


@cache
def sources() -> dict[str, ast.Module]:
    """Return the parsed modules by name, without the package's own in front of it."""
    return {module_name(path): ast.parse(path.read_bytes(), str(path)) for path in sorted(ROOT.rglob("*.py"))}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


def imports(module: str) -> Iterator[Import]:
    """Yield what a module imports of ours, anywhere in it, but for the sake of types."""
    for node in running(sources()[module]):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: relative import"
            names = [resolve(f"{node.module}.{alias.name}") for alias in node.names]
        else:
            continue
        for name in names:
            if name == PACKAGE or name.startswith(f"{PACKAGE}."):
                yield Import(module, node.lineno, name.removeprefix(PACKAGE).removeprefix("."))


def running(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree without the blocks that only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from running(node)


def resolve(name: str) -> str:
    """Return the module that ``from a.b import c`` means: ``a.b.c`` where that is one, else ``a.b``."""
    below = name.removeprefix(f"{PACKAGE}.")
    return name if below in sources() else name.rpartition(".")[0]


def layer(module: str) -> int:
    names = [(len(name), level) for level, layer in enumerate(LAYERS) for name in layer if within(module, name)]
    assert names, f"{module} has no layer"
    return max(names)[1]


def within(module: str, name: str) -> bool:
    return module == name or bool(name and module.startswith(f"{name}."))


def all_imports() -> Iterator[Import]:
    for module in sources():
        yield from imports(module)


def test_arrows_point_one_way():
    assert [str(each) for each in all_imports() if layer(each.importer) < layer(each.target)] == []


def test_drivers_know_only_the_contract():
    wrong = []
    for each in all_imports():
        kind, _, name = each.importer.partition(".")
        if kind != "drivers" or not name:
            continue
        own = f"drivers.{name.partition('.')[0]}"
        if each.target not in OPEN_TO_DRIVERS and not within(each.target, own):
            wrong.append(str(each))
    assert wrong == []


def test_only_the_registry_names_drivers():
    shared = {
        "drivers", "drivers.base", "drivers.values", "drivers.gateway", "drivers.http", "drivers.presets",
        "drivers.streams", "drivers.swift_presets",
    }  # fmt: skip
    wrong = [
        str(each)
        for each in all_imports()
        if within(each.target, "drivers") and each.target not in shared and not within(each.importer, "drivers")
    ]
    name = re.compile(rf"{PACKAGE}\.drivers\.(?!base\b)\w+(\.\w+)*")
    wrong += [
        f"{module}:{node.lineno} holds {node.value!r}"
        for module, tree in sources().items()
        if module != "core.registry"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and name.fullmatch(node.value)
    ]
    assert wrong == []


def test_front_ends_use_the_public_api_only():
    wrong = []
    for each in all_imports():
        own = each.importer.partition(".")[0]
        if own in FRONT_ENDS and each.target not in OPEN_TO_FRONT_ENDS and not within(each.target, own):
            wrong.append(str(each))
    assert wrong == []


def run_python(code: str, *options: str) -> str:
    """Run code in a fresh interpreter that imports this very library."""
    prepared = f"import sys; sys.path.insert(0, {str(ROOT.parent)!r}); {code}"
    command = [sys.executable, *options, "-c", prepared]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8", env=environment)
    return done.stdout.strip()


def test_importing_brings_nothing_heavy():
    loaded = run_python(f"import {PACKAGE}; print(*sys.modules)").split()
    assert {name.partition(".")[0] for name in loaded} & set(HEAVY) == set()


def test_importing_brings_little():
    # What takes the time. Seconds are measured by tests/benchmarks, on a machine that does nothing else.
    counted = run_python(f"import sys; had = {{*sys.modules}}; import {PACKAGE}; print(len({{*sys.modules}} - had))")
    assert int(counted) < MOST_MODULES


def test_all_names_what_is_public():
    public = {
        name
        for name, value in vars(cloudbridge_store).items()
        if not name.startswith("_") and name != "annotations" and f"{PACKAGE}.{name}" not in sys.modules
    }
    assert set(cloudbridge_store.__all__) == {*public, "__version__"}
    assert sorted(cloudbridge_store.__all__) == cloudbridge_store.__all__


def test_version_is_the_distributions():
    try:
        installed = importlib.metadata.version("cloudbridge-store")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("run from a checkout that is not installed")
    assert installed == cloudbridge_store.__version__


def definitions(tree: ast.AST, path: str) -> Iterator[tuple[str, ast.ClassDef | Function, ast.AST]]:
    """Yield every class and function with its full name and what it stands in; those inside of functions are theirs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | Function):
            name = f"{path}.{node.name}"
            yield name, node, tree
            if isinstance(node, ast.ClassDef):
                yield from definitions(node, name)


@cache
def documented_methods() -> set[tuple[str, str]]:
    """Return class and name of the methods that say what those must do which replace them."""
    found = set()
    for module, tree in sources().items():
        for name, node, _ in definitions(tree, module):
            if isinstance(node, Function) and ast.get_docstring(node) is not None:
                owner, method = name.split(".")[-2:]
                found.add((owner, method))
    return found


def inherits_docstring(owner: ast.AST, node: Function) -> bool:
    bases = [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in getattr(owner, "bases", ())]
    return any((base, node.name) in documented_methods() for base in bases)


def needs_docstring(module: str, name: str, node: ast.ClassDef | Function, owner: ast.AST) -> bool:
    if any(part.startswith("_") for part in name.split(".")):
        return False
    if isinstance(node, ast.ClassDef):
        return True
    if inherits_docstring(owner, node):
        return False
    decorators = {ast.unparse(decorator).partition("(")[0].rpartition(".")[2] for decorator in node.decorator_list}
    body = node.body[0]
    is_stub = isinstance(body, ast.Expr) and isinstance(body.value, ast.Constant) and body.value.value is ...
    is_test = within(module, "testing") and (node.name.startswith("test_") or decorators & STEPS)
    return not (is_stub or is_test or decorators & {"overload", "override", "setter"})


def test_what_is_public_has_a_docstring():
    missing = [module for module, tree in sources().items() if ast.get_docstring(tree) is None]
    missing += [
        f"{module}:{node.lineno} {name}"
        for module, tree in sources().items()
        for name, node, owner in definitions(tree, "")
        if needs_docstring(module, name.removeprefix("."), node, owner) and ast.get_docstring(node) is None
    ]
    assert missing == []


def test_functions_are_short():
    assert [
        f"{module}:{node.lineno} {node.name}: {length} lines"
        for module, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, Function) and (length := node.end_lineno - node.lineno + 1) > LONGEST_FUNCTION
    ] == []


def test_files_are_short():
    lengths = {path.relative_to(ROOT): len(path.read_bytes().splitlines()) for path in ROOT.rglob("*.py")}
    assert {str(path): length for path, length in lengths.items() if length > LONGEST_FILE} == {}
