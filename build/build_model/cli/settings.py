"""What holds where no option says otherwise: the project's file, the user's file, the environment, the defaults.

Files are TOML. ``dragoman.toml`` (or ``[tool.dragoman]`` in ``pyproject.toml``) is looked for in the folder where the
command runs and in those above it; ``dragoman/config.toml`` in ``$XDG_CONFIG_HOME`` (``~/.config``). The user's file
comes before the project's, the environment before both, an option before all.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from model.errors import DragomanError
from model.url import shown

PROJECT_FILE, PYPROJECT, USER_FILE = "dragoman.toml", "pyproject.toml", "dragoman/config.toml"
SHARED = ("registry", "repository", "amqp-url", "client-amqp-url", "queue", "name", "network")
"""Keys that stand above the tables: each is the option of that name in every command that has it."""

_HIDDEN = "***"
_NOT_FROM_FILES = frozenset({"version", "help"})  # what to do, not how


class ConfigInvalid(DragomanError):
    """A settings file can't be read, or says what no command understands. The message repeats no value."""


@dataclass(frozen=True)
class File:
    """A settings file, read.

    Attributes:
        path: where it is.
        values: keys to values; tables of commands to such keys, groups of commands one level deeper.
    """

    path: Path
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Setting:
    """One thing that holds.

    Attributes:
        name: as it is written in a file: ``registry``, or ``deploy.replicas``.
        value: fit for a screen.
        origin: the file, the variable, or ``default``.
    """

    name: str
    value: str
    origin: str


def read(folder: Path, environ: Mapping[str, str]) -> tuple[File, ...]:
    """The files that there are, the one that gives way first.

    Raises:
        ConfigInvalid: one of them is no TOML, or can't be read.
    """
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or "/") / ".config")
    found = _project(folder), _file(Path(home) / USER_FILE)
    return tuple(file for file in found if file is not None)


def defaults(files: tuple[File, ...], command: Any, *, whole: bool = True) -> dict[str, Any]:
    """What ``files`` say, as the default map of the command line ``command``; where that isn't the ``whole``, tables
    of commands that it hasn't are passed over.

    Raises:
        ConfigInvalid: a key or a table that isn't known, or a value of another kind than the option's.
    """
    found: dict[str, Any] = {}
    for file in files:
        shared = {key: value for key, value in file.values.items() if not isinstance(value, dict)}
        for key in shared:
            if key not in SHARED:
                raise ConfigInvalid(_unknown(file.path, key, SHARED, "setting"))
        _share(command, shared, found, file.path)
        known = getattr(command, "commands", {})
        tables = {
            key: value for key, value in file.values.items() if isinstance(value, dict) and (whole or key in known)
        }
        _place(command, tables, found, file.path)
    return found


def holding(files: tuple[File, ...], command: Any, environ: Mapping[str, str]) -> list[Setting]:
    """Every shared setting, and whatever the files say of single commands, with where it comes from."""
    rows = []
    for key in SHARED:
        known = [each for _, each in options(command) if f"--{key}" in each.opts and _is_shared(each)]
        option, default = known[0], next((each.default for each in known if each.default), "")
        said = [(file.values[key], str(file.path)) for file in files if key in file.values]
        variable = next((each for each in variables(option) if environ.get(each)), None)
        given = [(environ[variable], variable)] if variable else []
        value, origin = [(default, "default"), *said, *given][-1]
        rows.append(Setting(key, fit(option.name, value), origin))
    paths: dict[str, tuple[Any, str]] = {}
    for file in files:
        for name, value in _leaves(file.values):
            paths[name] = (value, str(file.path))
    single = ((name, *said) for name, said in paths.items() if "." in name)
    return [*rows, *(Setting(name, fit(name.rpartition(".")[2], value), origin) for name, value, origin in single)]


def options(command: Any) -> Iterator[tuple[str, Any]]:
    """Every option of a command and of those below it, with the name of its command."""
    for option in command.params:
        if option.param_type_name == "option":
            yield command.name or "", option
    for below in getattr(command, "commands", {}).values():
        yield from options(below)


def variables(option: Any) -> tuple[str, ...]:
    """The environment variables that an option heeds, the first that is set counts."""
    given = option.envvar or ()
    return (given,) if isinstance(given, str) else tuple(given)


def fit(name: str, value: Any) -> str:
    """A value fit for a screen: no password, no setting of the service, which may be one."""
    if isinstance(value, list):
        return ", ".join(fit(name, each) for each in value)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if name.replace("-", "_").endswith("amqp_url"):
        return shown(text) if text else ""
    if name == "env":
        return f"{text.partition('=')[0]}={_HIDDEN}" if "=" in text else _HIDDEN
    return _HIDDEN if re.search(r":[^/@]*@", text) else text


def _project(folder: Path) -> File | None:
    for each in (folder, *folder.parents):
        if (file := _file(each / PROJECT_FILE)) is not None:
            return file
        if (file := _file(each / PYPROJECT)) is not None:
            table = file.values.get("tool", {}).get("dragoman")
            if isinstance(table, dict):
                return File(file.path, table)
    return None


def _file(path: Path) -> File | None:
    if not path.is_file():
        return None
    try:
        return File(path, tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        where = (
            f" ({found[0]})" if (found := re.findall(r"at line \d+, column \d+|at end of document", str(error))) else ""
        )
        raise ConfigInvalid(f"{path} is no TOML in UTF-8{where}. Mend it, or remove it.") from None
    except OSError as error:
        raise ConfigInvalid(f"{path} can't be read ({error.strerror}). Mend its permissions, or remove it.") from None


def _share(command: Any, shared: Mapping[str, Any], found: dict[str, Any], path: Path) -> None:
    """Writes shared settings into every command that has such an option."""
    for option in (each for each in command.params if each.param_type_name == "option"):
        key = option.opts[0].removeprefix("--")
        # Commands that only speak to the broker have one address of it: the one that they can reach.
        names = {"--client-amqp-url"} & {each for other in command.params for each in other.opts}
        if key == "amqp-url" and not names and "client-amqp-url" in shared:
            key = "client-amqp-url"
        if key in shared and _is_shared(option):
            found[option.name] = _checked(option, shared[key], f"{key} in {path}", typer.Context(command))
    for name, below in getattr(command, "commands", {}).items():
        _share(below, shared, found.setdefault(name, {}), path)


def _is_shared(option: Any) -> bool:
    """Whether an option of a shared setting's name is that setting: ``--network DIR`` isn't the containers' network."""
    return not isinstance(option.default, Path)


def _place(command: Any, tables: Mapping[str, Any], found: dict[str, Any], path: Path) -> None:
    """Writes the tables of single commands into theirs."""
    commands = getattr(command, "commands", {})
    for name, table in tables.items():
        if name not in commands:
            raise ConfigInvalid(_unknown(path, name, commands, "command"))
        if not isinstance(table, dict):
            raise ConfigInvalid(f"{name} in {path} is a command: write a table, [{name}].")
        below, known = commands[name], {}
        for option in below.params:
            if option.param_type_name == "option" and option.name not in _NOT_FROM_FILES:
                known[option.opts[0].removeprefix("--")] = option
        for key, value in table.items():
            if key in known:
                where = found.setdefault(name, {})
                where[known[key].name] = _checked(known[key], value, f"{name}.{key} in {path}", typer.Context(below))
            elif key not in getattr(below, "commands", {}):
                raise ConfigInvalid(_unknown(path, key, [*known, *getattr(below, "commands", {})], f"option of {name}"))
        nested = {key: value for key, value in table.items() if key in getattr(below, "commands", {})}
        _place(below, nested, found.setdefault(name, {}), path)


def _checked(option: Any, value: Any, where: str, context: Any) -> Any:
    """``value`` if the option takes it; else what it takes."""
    items = value if option.multiple else [value]
    kinds = (bool,) if option.is_flag else (str, int, float)
    right = isinstance(items, list) and all(type(each) in kinds for each in items)
    if right:
        try:
            option.process_value(context, value)
        except typer.BadParameter:  # its words hold the value, which may be a secret
            right = False
    if not right:
        kind = "true or false" if option.is_flag else f"what --{option.opts[0].removeprefix('--')} takes"
        kind = f"a list of {kind}" if option.multiple else kind
        raise ConfigInvalid(f"{where} has a value that can't be right. Expected {kind}; see --help.")
    return value


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _unknown(path: Path, name: str, known: Any, kind: str) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    expected = f"Did you mean {near[0]}?" if near else f"Known are: {', '.join(sorted(known))}."
    return f"{path} has {name!r}, which is no {kind}. {expected}"
