"""What a notebook saved with pickle or `torch.save`, read without running any of it: the one module that unpickles.

A pickle is a program: it may name any function of the interpreter and call it. So a file is read twice. First every
name is answered with a stand-in that does nothing, and one that isn't the vocabulary's class or a plain container is
refused; only then are there real vocabularies.
"""

import io
import pickle
import pickletools
import re
import warnings
import zipfile
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.errors import DragomanError

_CONTAINERS: dict[str, Any] = {
    f"{one.__module__}.{one.__name__}": one for one in (OrderedDict, defaultdict, Counter, deque, set, frozenset)
}
_FACTORIES: dict[str, Any] = {
    f"builtins.{one.__name__}": one for one in (int, float, bool, str, list, dict, tuple, object)
}  # of a defaultdict, and what an old protocol makes an object from; they can't be changed
_RECONSTRUCTOR = "copyreg._reconstructor"  # makes an object in protocols 0 and 1
_OLD_NAMES = {
    "copy_reg._reconstructor": _RECONSTRUCTOR,
    "__builtin__.long": "builtins.int",
    "__builtin__.unicode": "builtins.str",
    **{f"__builtin__.{name.removeprefix('builtins.')}": name for name in (*_CONTAINERS, *_FACTORIES)},
}  # as protocols 0 to 2 write them
_REFUSED_OPCODES = {
    "PERSID": "an object outside the file",
    "BINPERSID": "an object outside the file",
    "NEXT_BUFFER": "a buffer outside the file",
    "BYTEARRAY8": "a bytearray",
    "EXT1": "an extension",
    "EXT2": "an extension",
    "EXT4": "an extension",
}
_LEGACY_PICKLES = 4  # before the tensors' bytes in a file of torch.save before 1.6; later ones are archives of one
_SAVE = "Save the state dict alone, in the notebook: `torch.save`, of `network.state_dict()`."
_DUMP = "Pickle the two vocabularies alone, in the notebook: pickle.dump((source, target), file)."


class PickleRefused(DragomanError):
    """A pickle names what is neither the folder's vocabulary class nor a plain container, or is none."""


class WeightsUnreadable(DragomanError):
    """A file holds no state dict."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict that ``torch.save`` wrote, by name; of several in a dict, by ``key.name``.

    Raises:
        WeightsUnreadable: it isn't one, or holds something else too.
        PickleRefused: it isn't there, or names what isn't a tensor; nothing of it was run.
    """
    _refuse_names(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of protocols: what can't be read is an error of its own
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 (whatever a file that isn't one makes torch raise)
        if named := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise _no_tensor(path, named[1]) from None
        raise WeightsUnreadable(f"{path} isn't what torch.save writes of tensors by default. {_SAVE}") from None
    if not isinstance(found, Mapping):
        raise WeightsUnreadable(f"{path} holds a {type(found).__name__}. {_SAVE}")
    return _flat(found, path)


def read_pickle(path: Path, vocabulary: type[Any]) -> Any:
    """What a pickle holds, or one inside a file of ``torch.save``: vocabularies in plain containers.

    Args:
        vocabulary: the class that its vocabularies become, under whatever module's name they were pickled.

    Raises:
        PickleRefused: it names anything else; nothing of it was run.
    """
    data = _pickle_of(path)
    _check_opcodes(data, path)
    made: list[Any] = []
    try:
        _Unpickler(data, path, vocabulary, type(vocabulary.__name__, (_StandIn,), {})).load()
        found = _Unpickler(data, path, vocabulary, _recording(vocabulary, made)).load()
        for one in made:
            one.__class__ = vocabulary
    except PickleRefused:
        raise
    except Exception as error:  # noqa: BLE001 (whatever a broken pickle, or one of another class, raises)
        name = vocabulary.__name__
        raise PickleRefused(
            f"{path} can't be read as a pickle of {name} ({type(error).__name__}: {_first_line(error)}). {_DUMP}"
        ) from None
    return found


class _StandIn:
    """Takes the place of a vocabulary, and takes whatever is done to one."""

    def __new__(cls, *_: Any, **__: Any) -> "_StandIn":
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, item: Any) -> None: ...

    def extend(self, items: Any) -> None: ...

    def add(self, item: Any) -> None: ...


def _recording(vocabulary: type[Any], made: list[Any]) -> type[Any]:
    """A class that can be thrown away, since a pickle can set a class' attributes; its instances are listed."""

    def new(cls: type[Any], *arguments: Any, **named: Any) -> Any:
        own: Any = vocabulary.__new__
        made.append(object.__new__(cls) if own is object.__new__ else own(cls, *arguments, **named))
        return made[-1]

    return type(vocabulary.__name__, (vocabulary,), {"__slots__": (), "__new__": new})


class _Unpickler(pickle._Unpickler):
    """Knows one class and plain containers. The one in Python: the one in C lets a pickle claim memory for its memo."""

    def __init__(self, data: bytes, path: Path, vocabulary: type[Any], stands_for: type[Any]) -> None:
        super().__init__(io.BytesIO(data))
        self._path, self._vocabulary, self._stands_for = path, vocabulary, stands_for

    def find_class(self, module: str, name: str) -> Any:
        known = _OLD_NAMES.get(f"{module}.{name}", f"{module}.{name}")
        if name == self._vocabulary.__name__ and _is_of(module, self._vocabulary):
            return self._stands_for
        if known == _RECONSTRUCTOR:
            return self._reconstruct
        if kind := _CONTAINERS.get(known):
            return _maker(kind)
        if kind := _FACTORIES.get(known):
            return kind
        raise PickleRefused(
            f"{self._path} names {module}.{name}, which is neither {self._vocabulary.__name__}, the folder's "
            f"vocabulary class, nor a plain container; nothing of it was run. {_DUMP}"
        )

    def _reconstruct(self, cls: Any, base: Any, _: Any) -> Any:
        """``copyreg._reconstructor``, of the vocabulary's class alone."""
        if cls is not self._stands_for or base is not object:
            raise PickleRefused(
                f"{self._path} makes an object of {cls!r}. Expected {self._vocabulary.__name__} alone; nothing of it "
                f"was run. {_DUMP}"
            )
        return self._stands_for.__new__(self._stands_for)


class _Names(pickle._Unpickler):
    """Runs through a file of ``torch.save`` with stand-ins alone, and refuses what neither torch nor a container is."""

    def __init__(self, stream: io.BytesIO, path: Path) -> None:
        super().__init__(stream)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        known = _OLD_NAMES.get(f"{module}.{name}", f"{module}.{name}")
        if module.partition(".")[0] != "torch" and known not in _CONTAINERS:
            raise _no_tensor(self._path, known)
        return type(name, (_StandIn,), {})

    def persistent_load(self, pid: Any) -> Any:
        return _StandIn()


def _maker(kind: Any) -> Any:
    """What makes a container; not its class, since what a pickle is given it can set attributes of."""

    def make(*items: Any) -> Any:
        return kind(*items)

    return make


def _is_of(module: str, vocabulary: type[Any]) -> bool:
    """Whether a notebook, or a copy of the folder, has the class under this module's name."""
    own = vocabulary.__module__
    return module in {"__main__", own} or module.rpartition(".")[2] == own.rpartition(".")[2]


def _refuse_names(path: Path) -> None:
    """Sees to it that a file of ``torch.save`` names tensors and plain containers alone; `torch.load` sees to the rest.

    Raises:
        PickleRefused: it names something else.
    """
    stream = io.BytesIO(_pickle_of(path))
    try:
        for _ in range(_LEGACY_PICKLES):
            _Names(stream, path).load()
    except PickleRefused:
        raise
    except Exception:  # noqa: BLE001 (the file's end, its tensors' bytes, or no pickle at all: torch.load says which)
        return


def _pickle_of(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PickleRefused(f"{path}: {error.strerror or error}. Give a file that the notebook saved.") from None
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            inside = next(one for one in archive.infolist() if one.filename.rpartition("/")[2] == "data.pkl")
            if inside.file_size > len(data):
                raise zipfile.BadZipFile("its pickle is compressed")
            return archive.read(inside)
    except (StopIteration, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise PickleRefused(f"{path} is no file of torch.save ({error}). Write it again in the notebook.") from None


def _check_opcodes(data: bytes, path: Path) -> None:
    """Sees to it that it is a whole pickle, and that nothing in it lies elsewhere or claims memory that it doesn't use.

    Raises:
        PickleRefused: it isn't.
    """
    try:
        for opcode, _, _ in pickletools.genops(data):
            if opcode.name in _REFUSED_OPCODES:
                raise PickleRefused(f"{path} holds {_REFUSED_OPCODES[opcode.name]}; nothing of it was run. {_DUMP}")
    except PickleRefused:
        raise
    except Exception as error:  # noqa: BLE001 (whatever bytes that are no pickle make pickletools raise)
        raise PickleRefused(f"{path} is no pickle ({_first_line(error)}). {_DUMP}") from None


def _flat(found: Mapping[Any, Any], path: Path, before: str = "") -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for key, value in found.items():
        name = f"{before}{key}"
        if isinstance(value, Tensor):
            tensors[name] = value.detach()
        elif isinstance(value, Mapping):
            tensors |= _flat(value, path, f"{name}.")
        else:
            raise WeightsUnreadable(f"{path} holds {name}, a {type(value).__name__}. {_SAVE}")
    return tensors


def _no_tensor(path: Path, name: str) -> PickleRefused:
    return PickleRefused(f"{path} names {name}, which is no tensor; nothing of it was run. {_SAVE}")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
