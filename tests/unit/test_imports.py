"""Imports go one way: service to model, build_model to model; and the guard needs no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "model": {"service", "build_model", "pika", "docker", "typer", "rich", "sacrebleu"},
    "service": {"build_model", "docker", "typer", "rich", "torch", "tokenizers", "safetensors"},
    "build/build_model": {"service"},
}


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


def test_only_the_consumer_imports_pika() -> None:
    assert [path.name for path in (ROOT / "service").glob("*.py") if "pika" in imported(path)] == ["consumer.py"]


@pytest.mark.parametrize("module", ["model.fingerprint", "service.health"])
def test_guard_and_health_check_load_no_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_nothing_pickles() -> None:
    for package in FORBIDDEN:
        for path in (ROOT / package).glob("**/*.py"):
            assert not imported(path) & {"pickle", "cloudpickle", "dill", "joblib", "shelve"}, path
            assert "torch.save" not in path.read_text(encoding="utf-8"), path
            assert "torch.load" not in path.read_text(encoding="utf-8"), path
