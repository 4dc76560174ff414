"""Imports go one way: down. service and dragoman to model, build_model by floors to both; the guard needs no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "model": {"service", "build_model", "dragoman", "pika", "docker", "typer", "rich", "sacrebleu"},
    "service": {"build_model", "dragoman", "docker", "typer", "rich", "torch", "tokenizers", "safetensors"},
    "dragoman": {"service", "build_model", "docker", "typer", "rich", "requests", "torch"},
    "build/build_model": {"service"},
}


BUILD = ROOT / "build" / "build_model"
FLOORS = (
    {"__main__"},
    {"cli"},
    {"reporting"},
    {"store"},
    {"operation"},
    {"image"},
    {"training"},
    {"swarm"},
    {"engine"},
    {"container", "tunnel"},
    {"report"},
)
"""From the top. What stands in one set may import each other, and whatever is below."""


def floor_of(module: str) -> int | None:
    """Where a module of build_model stands, counted from the top; None for the package itself."""
    name = module.split(".")[1] if "." in module else ""
    return next((number for number, floor in enumerate(FLOORS) if name in floor), None)


def modules_of_build(path: Path) -> set[str]:
    """The modules of build_model that a file imports, wherever in it the import stands; relative ones spelled out."""
    here = ("build_model", *path.relative_to(BUILD).with_suffix("").parts)
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(here[: -node.level]) if node.level else ""
            module = ".".join(filter(None, (start, node.module)))
            names |= {f"{module}.{alias.name}" for alias in node.names} if module == "build_model" else {module}
    return {name for name in names if name.split(".")[0] == "build_model"}


def imported(path: Path) -> set[str]:
    """Top-level names of everything that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_package_imports_what_is_above_it(package: str) -> None:
    files = list((ROOT / package).glob("**/*.py"))
    assert files
    for path in files:
        assert not imported(path) & FORBIDDEN[package], path


def test_every_module_of_build_stands_on_a_floor() -> None:
    for path in BUILD.glob("**/*.py"):
        module = ".".join(("build_model", *path.relative_to(BUILD).with_suffix("").parts))
        assert floor_of(module) is not None or module == "build_model.__init__", path


def test_no_floor_of_build_imports_one_above_it() -> None:
    for path in BUILD.glob("**/*.py"):
        module = ".".join(("build_model", *path.relative_to(BUILD).with_suffix("").parts))
        here = floor_of(module)
        for name in modules_of_build(path):
            there = floor_of(name)
            assert here is None or there is None or here <= there, f"{path} imports {name}"


def test_only_the_four_modules_of_the_connection_import_pika() -> None:
    knowing = {path.stem for path in (ROOT / "service").glob("*.py") if "pika" in imported(path)}
    assert knowing <= {"intake", "outlet", "link", "connection"}


@pytest.mark.parametrize("module", ["model.fingerprint", "service.health"])
def test_guard_and_health_check_load_no_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_nothing_pickles_but_what_reads_a_notebook_s_and_that_loads_tensors_alone() -> None:
    reading = BUILD / "training" / "pickled.py"
    text = reading.read_text(encoding="utf-8")
    assert text.count("torch.load(") == text.count("weights_only=True)") == 1
    assert "pickle.load" not in text
    for package in FORBIDDEN:
        for path in {*(ROOT / package).glob("**/*.py")} - {reading}:
            assert not imported(path) & {"pickle", "cloudpickle", "dill", "joblib", "shelve"}, path
            assert "torch.save(" not in path.read_text(encoding="utf-8"), path
            assert "torch.load" not in path.read_text(encoding="utf-8"), path
