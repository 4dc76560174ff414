"""A network's folder: which files it is, what they may import, and the ``MODEL`` that it says.

Nothing here imports torch before a folder is loaded.
"""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from model.errors import NetworkInvalid

if TYPE_CHECKING:
    from model.contract import Model

NETWORK = Path(__file__).parent / "network"  # today's; in an image, the one that it was built with
IMAGE = frozenset({"torch", "tokenizers", "safetensors"})  # what the image has beside the standard library
OURS = frozenset({"model.contract", "model.search"})  # what a network needs of the code around it; no more
_UNSEEN = frozenset({"importlib", "runpy", "pkgutil", "zipimport", "imp"})  # they import what no syntax tree shows
_UNSEEN_CALLS = frozenset({"__import__", "exec", "eval", "compile"})


def files(folder: Path) -> dict[str, Path]:
    """Every file of the folder by its path below it, in order; what editors and Python leave there isn't of it."""
    found = (path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder): path for path in found}
    return {
        relative.as_posix(): named[relative]
        for relative in sorted(named)
        if relative.suffix != ".pyc" and not any(part == "__pycache__" or part[0] == "." for part in relative.parts)
    }


def load_model(folder: Path = NETWORK) -> "Model":
    """The ``MODEL`` of a network's folder.

    Raises:
        NetworkInvalid: there is none, or the folder imports what it may not.
    """
    from model.contract import Model  # noqa: PLC0415 (torch)

    check_imports(folder)
    found = getattr(_module(folder), "MODEL", None)
    if not isinstance(found, Model):
        raise NetworkInvalid(
            f"{folder / '__init__.py'} says no MODEL. Expected `MODEL = Model(source=…, target=…, …)`, "
            "see model/contract.py; `build-model init DIR` writes a folder to start from."
        )
    return found


def check_package(folder: Path) -> None:
    """Raises NetworkInvalid where a folder is no package, whatever else it is."""
    if not (folder / "__init__.py").is_file():
        raise NetworkInvalid(
            f"{folder} is no network's folder: it has no __init__.py. `build-model init DIR` writes one to start from."
        )


def check_imports(folder: Path) -> None:
    """Sees to it that all that gives the weights their meaning is in the folder, and so in the architecture hash.

    Raises:
        NetworkInvalid: the folder isn't there, a file is no Python or imports something else than the standard
            library, what the image has, and itself.
    """
    check_package(folder)
    for name, path in files(folder).items():
        if path.suffix != ".py":
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError) as error:
            raise NetworkInvalid(f"{path} is not Python ({error}). Mend it.") from None
        for line, module, why in _refused(tree, depth=name.count("/") + 1):
            raise NetworkInvalid(
                f"{path}, line {line}: {module} {why}, so it is neither in the architecture hash nor in the image. "
                f"A network may import the standard library, {', '.join(sorted(IMAGE | OURS))}, and itself. "
                "Copy what it needs into the folder and import it from there: `from .name import …`."
            )


def _refused(tree: ast.Module, depth: int) -> Iterator[tuple[int, str, str]]:
    """Line, name and fault of each import that isn't allowed; ``depth`` is how many dots stay inside the folder."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt | ast.expr):
            continue
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level > depth:
                yield node.lineno, "." * node.level + (node.module or ""), "is outside the folder"
            elif not node.level:
                # `from model import search` names a module too.
                modules = (
                    [f"model.{alias.name}" for alias in node.names] if node.module == "model" else [node.module or ""]
                )
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _UNSEEN_CALLS:
            yield node.lineno, f"{node.func.id}()", "runs code that can't be seen"
        for module in modules:
            top = module.split(".")[0]
            if top in _UNSEEN:
                yield node.lineno, module, "imports what can't be seen"
            elif module not in OURS and top not in IMAGE and top not in sys.stdlib_module_names:
                yield node.lineno, module, "is outside the folder"


def _module(folder: Path) -> ModuleType:
    """The folder as a package; another folder gets a name of its own, so that two can be loaded side by side."""
    folder = folder.resolve()
    own = folder == NETWORK.resolve()
    name = "model.network" if own else f"network_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        for loaded in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
            del sys.modules[loaded]
        place = _place(error, folder)
        said = str(error).replace(f"{name}.", "").replace(name, folder.name)
        raise NetworkInvalid(
            f"{folder} can't be imported: {type(error).__name__}: {said}{place}. Mend it; model/contract.py says what "
            "the folder is to hold."
        ) from error
    return module


def _place(error: BaseException, folder: Path) -> str:
    """Where in the folder an error came from, in words."""
    found = ""
    trace = error.__traceback__
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.is_relative_to(folder):
            found = f" ({path.relative_to(folder)}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return found
