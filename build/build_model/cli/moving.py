"""What is done with versions in a registry: taking a checkpoint out, copying, files, names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from build_model import report
from build_model.cli.options import (
    REPOSITORY,
    Json,
    RegistryAddress,
    Repository,
    SignedBy,
    progress_for,
    reported,
    warn,
)
from build_model.cli.references import REF, address_of, reference_of, registry_of, stored
from build_model.image.reference import Address
from build_model.image.registry import Registry
from build_model.store import archive, checkout, copying, promotion

group = typer.Typer()


@group.command()
def pull(
    reference: Annotated[str, typer.Argument(metavar="REF", help=REF)],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is empty or isn't there.")],
    registry: RegistryAddress = "",
    repository: Repository = REPOSITORY,
    require_signature: SignedBy = None,
    as_json: Json = False,
) -> None:
    """Take the checkpoint out of an image again, byte for byte: weights, vocabularies, goldens, manifest.

    Every file is held against the manifest. `build-model --checkpoint REF` builds on one without a folder.
    """
    with reported(as_json=as_json):
        accept = _accepting(require_signature)
        found = checkout.pull(*stored(reference, registry, repository), folder, progress_for(as_json), accept)
        if as_json:
            report.print_object(found.encode())
            return
        report.print_facts(f"{found.folder} has the checkpoint of {found.reference}", sorted(found.files.items()))


@group.command()
def copy(
    source: Annotated[str, typer.Argument(metavar="SRC", help=REF)],
    target: Annotated[
        str, typer.Argument(metavar="DST", help="HOST:PORT/NAME[:VERSION]; the same version where it names none.")
    ],
    registry: RegistryAddress = "",
    repository: Repository = REPOSITORY,
    require_signature: SignedBy = None,
    as_json: Json = False,
) -> None:
    """Copy a version to another registry or repository, with all that refers to it: its digest stays.

    Signatures, lists of packages and records of deploys come along. What the target has is not sent again; a version
    that it has with other content is never overwritten.
    """
    with reported(as_json=as_json):
        there, wanted = stored(source, registry, repository)
        here = reference_of(target, registry, repository)
        if not here.registry:
            raise typer.BadParameter("name its registry: HOST:PORT/NAME[:VERSION].", param_hint="DST")
        to = (registry_of(here, registry), here)
        accept = _accepting(require_signature)
        done = copying.Copy((there, wanted), to, progress_for(as_json), accept).run()
        _print_copied(done, as_json=as_json)


@group.command()
def export(
    reference: Annotated[str, typer.Argument(metavar="REF", help=REF)],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to write.", dir_okay=False)],
    registry: RegistryAddress = "",
    repository: Repository = REPOSITORY,
    as_json: Json = False,
) -> None:
    """Write a version into one file: an OCI archive, which skopeo, podman and `docker load` read.

    With all that refers to it, for `build-model import` to put back. The same image gives the same file.
    """
    with reported(as_json=as_json):
        done = archive.export(*stored(reference, registry, repository), file, progress_for(as_json))
        if as_json:
            report.print_object(done.encode())
            return
        print(f"{done.file}: {done.reference}, {report.size(done.size)}, and {done.referrers} that refer to it")


@group.command(name="import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An OCI archive.", exists=True, dir_okay=False)],
    registry: RegistryAddress,
    repository: Repository = REPOSITORY,
    tag: Annotated[
        str, typer.Option(metavar="VERSION", help="What it is to be.", show_default="what the archive says")
    ] = "",
    require_signature: SignedBy = None,
    as_json: Json = False,
) -> None:
    """Put the images of an OCI archive into the registry, with what `build-model export` wrote beside them.

    Every part is held against its digest before anything is sent; a version that is there is never overwritten.
    """
    with reported(as_json=as_json):
        where = Address.parse(registry).reference(repository, tag)
        accept = _accepting(require_signature)
        done = archive.import_archive(file, Registry(registry), where, progress_for(as_json), accept)
        if as_json:
            report.print_object({"images": [one.encode() for one in done]})
            return
        for one in done:
            _print_copied(one, as_json=False)


@group.command()
def promote(
    version: Annotated[str, typer.Argument(metavar="VERSION", help=REF)],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name that moves, such as production.")],
    registry: RegistryAddress = "",
    repository: Repository = REPOSITORY,
    as_json: Json = False,
) -> None:
    """Have a name stand for a version: `build-model promote 1.1.0 production`, then `build-model deploy production`.

    Versions never move, names do. What a name stood for before is recorded: `build-model history --name production
    --registry HOST:PORT`.
    """
    with reported(as_json=as_json):
        promotion.check(name)
        _, wanted = stored(version, registry, repository)
        done = promotion.promote(address_of(wanted, registry), wanted, name)
        if as_json:
            report.print_object(done.encode())
            return
        before = f"it was {done.before}" if done.before else "it is new"
        print(f"{name} is {done.image}; {before if done.moved else 'it was before'}")
        warn(f"the registry keeps no record of it: {done.unrecorded}" if done.unrecorded else None)


def _accepting(key: Path | None) -> copying.Accept:
    """What takes only an image that ``key`` signed; any where none is named."""
    if key is None:
        return copying.anything
    # Who asks for no signature needn't wait for what reads one.
    from build_model.image import trust  # noqa: PLC0415
    from build_model.image.signature import PublicKey  # noqa: PLC0415

    public = PublicKey.read(key)
    return lambda registry, image: trust.check(registry, image, public)


def _print_copied(done: copying.Copied, *, as_json: bool) -> None:
    if as_json:
        report.print_object(done.encode())
        return
    print(f"{done.reference}: {done}, with {done.referrers} that refer to it")
