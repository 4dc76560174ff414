"""Asking the registry about versions. What these commands import decides how soon they answer: no engine, no broker."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from build_model import report
from build_model.cli.options import RELEASED, REPOSITORY, Json, RegistryAddress, Repository, reported
from build_model.cli.references import REF, reference_of, registry_of, stored
from build_model.image import inspection
from build_model.image.inspection import Inspection
from build_model.image.reference import Address
from build_model.image.registry import Registry
from build_model.store import listing
from model.folder import NETWORK

if TYPE_CHECKING:
    from build_model.store.compatibility import Fit
    from build_model.store.difference import Changed, Difference

_SHOWN = 12  # lines of a kind that a person reads

group = typer.Typer()


@group.command(name="list")
def list_versions(
    registry: RegistryAddress,
    repository: Repository = REPOSITORY,
    limit: Annotated[int, typer.Option(min=0, help="The newest so many.", show_default="all")] = 0,
    as_json: Json = False,
) -> None:
    """Show the versions that the registry has, newest first, and the names that they go by."""
    with reported(as_json=as_json):
        where = Address.parse(registry).reference(repository)
        found = listing.listed(Registry(registry), where)
        found = found[:limit] if limit else found
        if as_json:
            report.print_object({"repository": where.name, "versions": [one.encode() for one in found]})
            return
        if not found:
            print(f"{where.name} has no version that build-model made.")
            return
        report.print_table(("version", "names", "made", "size", "BLEU", "architecture", "digest"), map(_row, found))


@group.command()
def inspect(
    reference: Annotated[str, typer.Argument(metavar="REF", help=REF)],
    registry: RegistryAddress = "",
    repository: Repository = REPOSITORY,
    as_json: Json = False,
) -> None:
    """Show what is in an image: labels, manifest, layer sizes, scores.

    With a registry in REF or in --registry it is asked there and not pulled; else it is one of the engine's images.
    """
    with reported(as_json=as_json):
        wanted = reference_of(reference, registry, repository)
        if wanted.registry:
            found = inspection.inspect(registry_of(wanted, registry), wanted)
        else:
            from build_model.engine import Engine  # noqa: PLC0415 (docker takes a while to load, and a registry needs none)
            from build_model.image import image  # noqa: PLC0415

            found = image.inspect_local(Engine.connect(), wanted)
        _print_inspection(found, as_json=as_json)


@group.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help=REF)],
    after: Annotated[str, typer.Argument(metavar="B", help=REF)],
    registry: RegistryAddress = "",
    repository: Repository = REPOSITORY,
    as_json: Json = False,
) -> None:
    """Show what differs from version A to version B, in terms of what it means.

    Config, tensors, words of the vocabularies, scores, golden sentences that are answered differently, files of code,
    and how much of B whoever has A needn't fetch. Weights are not fetched.
    """
    from build_model.store.difference import difference  # noqa: PLC0415 (each of these commands loads its own)

    with reported(as_json=as_json):
        one, other = (stored(each, registry, repository) for each in (before, after))
        _print_difference(difference(one, other), as_json=as_json)


@group.command()
def compatible(
    reference: Annotated[str, typer.Argument(metavar="REF", help=REF)],
    registry: RegistryAddress = "",
    repository: Repository = REPOSITORY,
    checkpoint: Annotated[
        Path, typer.Option(metavar="DIR", help="This clone's checkpoint.", show_default="the released one")
    ] = RELEASED,
    network: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder of the network.", show_default="model/network")
    ] = NETWORK,
    as_json: Json = False,
) -> None:
    """Show whether the checkpoint in an image runs in this clone's code, and this clone's checkpoint in the image's.

    By the architecture hash, as the service's guard does. Exit code 1 when the image's checkpoint doesn't fit here.
    """
    from build_model.store.compatibility import fit  # noqa: PLC0415 (each of these commands loads its own)

    with reported(as_json=as_json):
        found = fit(*stored(reference, registry, repository), checkpoint, network)
        if as_json:
            report.print_object(found.encode())
        else:
            _print_fit(found)
    if found.taken:
        raise typer.Exit(1)


def _row(one: listing.Listed) -> tuple[str, ...]:
    scores = one.scores
    score = scores.get("test", next(iter(scores.values()), None))
    return (
        one.version.tag,
        ", ".join(one.names),
        one.created[:10],
        report.size(one.version.size),
        "" if score is None else f"{score:.1f}",
        one.architecture[:12],
        one.version.digest.removeprefix("sha256:")[:12],
    )


def _print_inspection(found: Inspection, *, as_json: bool) -> None:
    if as_json:
        report.print_object(found.encode())
        return
    report.print_facts(f"{found.reference}@{found.digest}", sorted(found.labels.items()))
    report.print_facts(
        f"layers, {'compressed' if found.compressed else 'on disk'}",
        ((holds, report.size(count)) for holds, count in found.layers),
    )
    if serving := found.manifest.get("serving"):
        report.print_facts(
            "served by",
            [
                ("path", serving["path"]),
                ("goldens", f"{serving['sentences_per_second']:g} sentences/s, {serving['times_plain']:g} times plain"),
            ],
        )
    training = {name: value for name, value in found.manifest.get("training", {}).items() if name != "scores"}
    report.print_facts("training", sorted((name, str(value)) for name, value in training.items()))
    scores = ((of, f"BLEU {score['bleu']:.1f}, chrF {score.get('chrf', 0):.1f}") for of, score in found.scores.items())
    report.print_facts("scores", scores)


def _print_fit(found: Fit) -> None:
    for whose, whither, misfits in (
        ("its checkpoint", "this clone's code", found.taken),
        ("this clone's checkpoint", "its code", found.given),
    ):
        verdict = f"{whose} {'does not run' if misfits else 'runs'} in {whither}"
        report.print_facts(f"{found.reference}: {verdict}", _lines(misfits))


def _print_difference(found: Difference, *, as_json: bool) -> None:
    if as_json:
        report.print_object(found.encode())
        return
    report.print_facts(f"{found.before} -> {found.after}", _changes(found.labels))
    for title, changes in (
        ("config", found.config),
        ("tensors", found.tensors),
        ("scores", found.scores),
        (f"goldens, {len(found.goldens)} of {found.asked} are answered differently", found.goldens),
        ("files", found.files),
    ):
        if changes:
            report.print_facts(title, _changes(changes))
    for words in found.vocabularies:
        report.print_facts(f"vocabulary {words.name}", (("gone", _some(words.gone)), ("new", _some(words.new))))
    layers = ((holds, f"{report.size(size)}, {'shared' if both else 'new'}") for holds, size, both in found.layers)
    shared = f"{report.size(found.shared)} shared, {report.size(found.fetched)} to fetch"
    report.print_facts(f"layers, compressed: {shared}", layers)


def _changes(changes: Changed) -> Iterable[tuple[str, str]]:
    rows = [(name, f"{_shown(before)} -> {_shown(after)}") for name, (before, after) in changes.items()]
    return [*rows[:_SHOWN], *([("…", f"{len(rows) - _SHOWN} more, see --json")] if len(rows) > _SHOWN else [])]


def _lines(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    return [(name, text.strip()) for name, _, text in (line.partition(":") for line in lines)]


def _shown(value: Any) -> str:
    """A value for a person: of a digest the beginning."""
    text = "none" if value is None else str(value)
    start, hexadecimal = text.removeprefix("sha256:"), set("0123456789abcdef")
    return start[:12] if len(start) == 64 and set(start) <= hexadecimal else text


def _some(words: tuple[str, ...]) -> str:
    """How many, and the first few."""
    return f"{len(words)}{': ' if words else ''}{' '.join(words[:_SHOWN])}{' …' if len(words) > _SHOWN else ''}"
