"""The guard: a manifest that says what a checkpoint is, and the proof that code and files are still that.

Nothing here imports torch, so a mismatch is found before anything heavy is loaded.
"""

import ast
import hashlib
import io
import json
import tokenize
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model import folder as folders
from model.errors import ArchitectureMismatch, CheckpointFormatError, ChecksumMismatch
from model.folder import NETWORK

if TYPE_CHECKING:
    from model.contract import Model

MANIFEST, WEIGHTS, GOLDEN = "manifest.json", "weights.safetensors", "golden.jsonl"
CODE = Path(__file__).parent
# The modules of ``model`` that decide no translation; all others are in the architecture hash.
DECIDE_NOTHING = frozenset(
    {"__init__.py", "checkpoint.py", "contract.py", "errors.py", "fingerprint.py", "folder.py", "url.py"}
)

LEXICONS = {"fra": "lexicon.bin"}  # the lexicon of a source language, by its ISO 639-3 code

_WAY_OUT = (
    "Run the code that this checkpoint was made with, or take the checkpoint that this code belongs to; "
    "if the change can't change a translation, `build-model restamp` proves it and writes a new manifest."
)


def lang_file(name: str) -> str:
    """The file of a vocabulary in a checkpoint folder."""
    return f"{name}.lang.json"


def lang_names(model: "Model") -> tuple[str, ...]:
    """The names of a model's vocabularies: the codes of its languages, or both in one where they share it."""
    return (f"{model.source}-{model.target}",) if model.shared else (model.source, model.target)


@dataclass(frozen=True)
class Manifest:
    """What a checkpoint or an artifact is.

    Attributes:
        source, target: ISO 639-3 codes of the languages.
        config: the fields of the network's config.
        code: digest of each file that gives the weights their meaning, by its path below ``model/``.
        tensors: stored dtype and shape of each tensor, by name.
        architecture: one sha256 over ``code``, ``config`` and ``tensors``.
        weights, golden: sha256 of the file's bytes.
        langs: sha256 of each vocabulary's file, by language code; ``fra-eng`` where one serves both.
        example: a sentence of the source language, for who has to type one.
        training: corpus, seed, epochs, scores: how the weights came about.
        outputs: sha256 over the translations of the first dev sources, or None where there was no dev set.
        serving: ``path``, the search that was found to serve it best; ``sentences_per_second`` of its goldens where
            that was measured, and how many ``times_plain`` that is; or None where nobody looked.
        calibration: the fields of ``calibration.Calibration``, or None where there was no dev set to fit it on.
        version: the model version; None until an artifact is made of the checkpoint.
    """

    source: str
    target: str
    config: Mapping[str, Any]
    code: Mapping[str, str]
    tensors: Mapping[str, str]
    architecture: str
    weights: str
    golden: str
    langs: Mapping[str, str]
    example: str | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    outputs: str | None = None
    calibration: Mapping[str, float] | None = None
    serving: Mapping[str, Any] | None = None
    version: str | None = None

    def encode(self) -> bytes:
        """The manifest as JSON with sorted keys, the same bytes for the same content."""
        stored = {name: value for name, value in asdict(self).items() if value is not None}
        return (json.dumps(stored, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def decode(cls, data: bytes, name: str = MANIFEST) -> "Manifest":
        """The inverse of ``encode``.

        Raises:
            CheckpointFormatError: ``data`` is no manifest; ``name`` stands in the message.
        """
        try:
            stored = json.loads(data)
            if not isinstance(stored, dict):
                raise TypeError("it holds no object")
            return cls(**stored)
        except (ValueError, TypeError) as error:
            raise CheckpointFormatError(
                f"{name} is not a manifest ({error}). Restore the checkpoint's files."
            ) from None

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """The manifest of a checkpoint or artifact folder.

        Raises:
            CheckpointFormatError: it is missing or no manifest.
        """
        return cls.decode(_read(folder / MANIFEST), str(folder / MANIFEST))

    def write(self, folder: Path) -> None:
        """Writes the manifest into a folder, over the one that is there."""
        (folder / MANIFEST).write_bytes(self.encode())

    def with_version(self, version: str) -> "Manifest":
        """The manifest of the artifact that is made of this checkpoint."""
        return replace(self, version=version)

    def files(self) -> dict[str, str]:
        """Digest of every file that the manifest vouches for, by file name."""
        langs = {lang_file(code): digest for code, digest in self.langs.items()}
        return {WEIGHTS: self.weights, **langs, GOLDEN: self.golden}


def make_manifest(
    folder: Path,
    *,
    model: "Model",
    config: Mapping[str, Any],
    training: Mapping[str, Any] | None = None,
    outputs: str | None = None,
    network: Path = NETWORK,
) -> Manifest:
    """The manifest of the weights, vocabularies and goldens that lie in ``folder``, under the code that is running."""
    sources, tensors = code_digests(model.source, network), tensor_table(folder / WEIGHTS)
    return Manifest(
        source=model.source,
        target=model.target,
        config=dict(config),
        code=sources,
        tensors=tensors,
        architecture=architecture_hash(sources, config, tensors),
        weights=file_digest(folder / WEIGHTS),
        golden=file_digest(folder / GOLDEN),
        langs={name: file_digest(folder / lang_file(name)) for name in lang_names(model)},
        example=model.example,
        training=dict(training or {}),
        outputs=outputs,
    )


def verify(folder: Path, network: Path = NETWORK, code: Path = CODE) -> Manifest:
    """Recomputes everything that the manifest in ``folder`` records, from the files there and the code.

    Returns:
        The manifest, which holds.

    Raises:
        CheckpointFormatError: a file is missing or malformed.
        ArchitectureMismatch: code, config or tensors are not those of the manifest.
        ChecksumMismatch: a file's bytes are not.
    """
    manifest = Manifest.read(folder)
    for name, digest in manifest.files().items():
        found = file_digest(folder / name)
        if found != digest:
            raise ChecksumMismatch(
                f"{folder / name} is damaged or from another checkpoint: its sha256 is {found}, "
                f"the manifest records {digest}. Restore the file from the image or commit it came with."
            )
    folders.check_package(network)
    sources, tensors = code_digests(manifest.source, network, code), tensor_table(folder / WEIGHTS)
    differences = [
        *_differences("the source of", manifest.code, sources),
        *_differences("tensor", manifest.tensors, tensors),
    ]
    found = architecture_hash(sources, manifest.config, tensors)
    if differences or found != manifest.architecture:
        same = any(manifest.code.get(name) == sources[name] for name in sources if name.startswith("network/"))
        other = "" if same else " They are two networks': name both of one, --network DIR and --checkpoint DIR."
        what = "; ".join(differences) or "the config or the hash in the manifest was changed"
        raise ArchitectureMismatch(
            f"The architecture hash of code and weights is {found}, the manifest of {folder} records "
            f"{manifest.architecture}: {what}.{other} {_WAY_OUT}"
        )
    return manifest


def architecture_hash(code: Mapping[str, str], config: Mapping[str, Any], tensors: Mapping[str, str]) -> str:
    """One sha256, in hexadecimal, over the digests of the code, the config and the table of tensors."""
    return hashlib.sha256(_canonical({"code": code, "config": config, "tensors": tensors})).hexdigest()


def code_digests(source: str, network: Path = NETWORK, code: Path = CODE) -> dict[str, str]:
    """Digest of each file that gives the weights their meaning, by its path below ``model/``: all of the network's
    folder, which is ``model/network`` in an image, and what decides a translation from the language ``source`` outside
    it. Comments, docstrings and blank lines don't count.

    Raises:
        CheckpointFormatError: a file can't be read or is no Python.
    """
    named = {f"network/{name}": path for name, path in folders.files(network).items()}
    named |= {path.name: path for path in code.glob("*.py") if path.name not in DECIDE_NOTHING}
    if source in LEXICONS:
        named[LEXICONS[source]] = code / LEXICONS[source]
    return {name: _source_digest(named[name]) for name in sorted(named)}


def tensor_table(weights: Path) -> dict[str, str]:
    """``"F16 [6000, 256]"`` and the like for each tensor of a safetensors file, by name.

    Read from the file's header (8 bytes of length, little endian, then JSON), so no tensor is loaded.

    Raises:
        CheckpointFormatError: the file is missing or its header can't be read.
    """
    data = _read(weights)
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return {name: f"{entry['dtype']} {entry['shape']}" for name, entry in header.items() if name != "__metadata__"}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CheckpointFormatError(
            f"{weights} is not a safetensors file. Restore it from the checkpoint it belongs to."
        ) from None


def file_digest(path: Path) -> str:
    """sha256 of a file, in hexadecimal.

    Raises:
        CheckpointFormatError: the file is missing or can't be read.
    """
    return hashlib.sha256(_read(path)).hexdigest()


def meaningful_source(source: bytes) -> bytes:
    """Python source less comments, docstrings, blank lines and carriage returns.

    It cuts the text at the positions that ``ast`` and ``tokenize`` report, since a dump of the tree would differ
    between Python versions. Lines inside strings stay as they are.
    """
    source = source.replace(b"\r\n", b"\n")
    lines = source.split(b"\n")
    cuts: list[tuple[int, int, int]] = []  # line, from byte, to byte
    for first, start, last, end in _docstrings(source):
        cuts += [
            (row, start if row == first else 0, end if row == last else len(lines[row]))
            for row in range(first, last + 1)
        ]
    inside_strings: set[int] = set()
    opened: list[int] = []
    for token in tokenize.generate_tokens(io.StringIO(source.decode(), newline="").readline):
        (row, column), (end_row, _) = token.start, token.end
        kind = tokenize.tok_name[token.type]
        if kind == "COMMENT":
            start = len(token.line[:column].encode())
            cuts.append((row - 1, start, start + len(token.string.encode())))
        elif kind == "STRING":
            inside_strings.update(range(row - 1, end_row))
        elif kind == "FSTRING_START":  # from Python 3.12 on, an f-string is several tokens
            opened.append(row)
        elif kind == "FSTRING_END":
            inside_strings.update(range(opened.pop() - 1, end_row))
    cut_rows = {row for row, _, _ in cuts}
    for row, start, end in sorted(cuts, reverse=True):
        lines[row] = lines[row][:start] + lines[row][end:]
    kept = []
    for row, line in enumerate(lines):
        text = line.rstrip() if row in cut_rows or row not in inside_strings else line
        if text.strip() or (row in inside_strings and row not in cut_rows):
            kept.append(text)
    return b"\n".join(kept) + b"\n"


def _source_digest(path: Path) -> str:
    if path.suffix != ".py":
        return file_digest(path)
    try:
        return hashlib.sha256(meaningful_source(_read(path))).hexdigest()
    except (SyntaxError, ValueError, tokenize.TokenError) as error:
        raise CheckpointFormatError(f"{path} is not Python ({error}). Mend it.") from None


def _docstrings(source: bytes) -> list[tuple[int, int, int, int]]:
    """First row, first byte, last row and byte after the end of each docstring; rows from 0."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not node.body:
            continue
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            end_row, end_column = first.end_lineno or first.lineno, first.end_col_offset or 0
            found.append((first.lineno - 1, first.col_offset, end_row - 1, end_column))
    return found


def _differences(what: str, expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    return [
        f"{what} {name} is {found.get(name, 'missing')}, recorded as {expected.get(name, 'missing')}"
        for name in sorted({*expected, *found})
        if expected.get(name) != found.get(name)
    ]


def _canonical(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointFormatError(
            f"{path}: {error.strerror or error}. "
            f"A checkpoint holds {MANIFEST}, {WEIGHTS}, {GOLDEN} and two vocabularies."
        ) from None
