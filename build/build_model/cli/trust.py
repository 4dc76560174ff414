"""Signing images, and checking that one is what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from build_model import report
from build_model.cli.options import (
    RELEASED,
    REPOSITORY,
    ROOT,
    Json,
    RegistryAddress,
    Repository,
    progress_for,
    reported,
)
from build_model.cli.references import reference_of, registry_of
from build_model.cli.training import Network
from build_model.image import image, trust
from build_model.image import verify as verification
from build_model.image.reference import Reference
from build_model.image.signature import PASSWORD, PrivateKey, PublicKey
from model.folder import NETWORK

group = typer.Typer()


@group.command()
def verify(
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="HOST:PORT/NAME:VERSION, or VERSION with --registry.")
    ],
    registry: RegistryAddress = "",
    repository: Repository = REPOSITORY,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build it again from this clone, and compare the digests.")
    ] = False,
    checkpoint: Annotated[
        Path, typer.Option(metavar="DIR", help="What to rebuild it from.", show_default="the released one")
    ] = RELEASED,
    network: Network = NETWORK,
    key: Annotated[
        Path | None,
        typer.Option(metavar="PUB", help="Its signature must be by this public key.", show_default="none is asked for"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check an image in a registry byte for byte, without running it.

    Every blob against its digest, every layer against the config, labels and annotations against what is inside, and
    the model's own guard: architecture hash, weights, vocabularies, goldens. Then what lies beside it: its bills of
    materials list what is in it, its provenance is its own, and with **--key** that key signed it under this tag.
    """
    with reported(as_json=as_json):
        wanted = _in_registry(reference, registry, repository)
        there, progress = registry_of(wanted, registry), progress_for(as_json)
        found = verification.verify_image(there, wanted, progress, PublicKey.read(key) if key else None)
        if rebuild:
            image.verify_rebuilt(there, found.reference, ROOT, checkpoint, network)
        if as_json:
            report.print_object({**found.encode(), "rebuilt": rebuild})
            return
        same = [("rebuilt", "the same digest")] if rebuild else []
        report.print_facts(f"{found.reference} is what it says", [*found.checked, *same])


@group.command()
def sign(
    reference: Annotated[
        str,
        typer.Argument(metavar="[REF]", help="HOST:PORT/NAME:VERSION, or VERSION with --registry.", show_default=False),
    ] = "",
    key: Annotated[
        Path | None,
        typer.Option(metavar="KEY", envvar="DRAGOMAN_KEY", help="The private key: ECDSA on P-256, in PEM."),
    ] = None,
    generate_key: Annotated[
        Path | None, typer.Option(metavar="NAME", help="Make NAME.key and NAME.pub; sign nothing.", show_default=False)
    ] = None,
    registry: RegistryAddress = "",
    repository: Repository = REPOSITORY,
    as_json: Json = False,
) -> None:
    """Sign an image in a registry, with the bills of materials and the provenance beside it, as cosign does.

    `build-model verify REF --key PUB`, `deploy --require-signature PUB` and `cosign verify --key PUB` check it. A key
    with a password is opened with that in **DRAGOMAN_KEY_PASSWORD**; with it set, a new key gets that password.
    """
    if (generate_key is None) == (not reference):
        raise typer.BadParameter("name an image to sign, or make a pair with --generate-key NAME.", param_hint="REF")
    if reference and key is None:
        raise typer.BadParameter("say which: a file that --generate-key or openssl made.", param_hint="--key")
    with reported(as_json=as_json):
        if generate_key:
            private, public = PrivateKey.generate(generate_key)
            _print_pair(private, public, as_json=as_json)
            return
        assert key
        signing = PrivateKey.read(key)
        wanted = _in_registry(reference, registry, repository)
        done = trust.sign(registry_of(wanted, registry), wanted, signing)
        if as_json:
            report.print_object(done.encode())
            return
        report.print_facts(
            f"{done.reference} {'is signed' if done.new else 'was signed by this key already'}",
            [("signature", done.tag), *sorted(done.claims.items())],
        )


def _in_registry(text: str, registry: str, repository: str) -> Reference:
    wanted = reference_of(text, registry, repository)
    if not wanted.registry:
        raise typer.BadParameter("name its registry: HOST:PORT/NAME:VERSION, or --registry.", param_hint="REF")
    return wanted


def _print_pair(private: Path, public: Path, *, as_json: bool) -> None:
    if as_json:
        report.print_object({"key": str(private), "public": str(public)})
        return
    report.print_facts(
        f"{private} signs, {public} checks",
        [("keep", f"{private} to yourself; {PASSWORD} gives it a password"), ("give away", str(public))],
    )
