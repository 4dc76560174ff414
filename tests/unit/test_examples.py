"""The examples: what a notebook defines stands in its network's folder as it is."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

TUTORIAL = Path(__file__).parents[2] / "examples" / "tutorial"
TURNED = {"__len__", "build", "encode", "decode", "to_json", "from_json"}  # what the contract asks for beside it


def definitions(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Functions, and methods by their class, as text without comments and types."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, ast.unparse(node)
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef):
                    yield f"{node.name}.{method.name}", ast.unparse(method)


def test_the_classes_of_the_notebook_are_those_of_the_folder() -> None:
    cells = json.loads((TUTORIAL / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    notebook = dict(definitions(ast.parse(code)))
    folder: dict[str, str] = {}
    for name in ("architecture.py", "vocabulary.py"):
        folder |= definitions(ast.parse((TUTORIAL / "network" / name).read_text(encoding="utf-8")))
    shared = notebook.keys() & folder.keys()
    assert {"Lang.addWord", "normalizeString", "EncoderRNN.forward", "AttnDecoderRNN.forward_step"} <= shared
    assert {name: notebook[name] for name in shared} == {name: folder[name] for name in shared}
    alone = {name for name in folder.keys() - shared if not name.startswith("Translator.")}
    assert alone == {f"Lang.{name}" for name in TURNED}


def test_the_notebook_is_committed_without_its_outputs_and_ends_with_three_lines_that_hand_over() -> None:
    cells = json.loads((TUTORIAL / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
    assert len("".join(code[-1]["source"]).splitlines()) == 3
