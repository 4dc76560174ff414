"""The network that this clone holds: the released one, or another that somebody put in its place. What only the
released one can say is asked of it alone; the rest holds of any."""

from dataclasses import fields
from pathlib import Path

from model.checkpoint import RELEASED
from model.fingerprint import MANIFEST, Manifest
from model.folder import NETWORK, load_model

MODEL = load_model(NETWORK)
TODAYS = MODEL.network.__name__ == "Seq2Seq"
"""Whether it is the one that this repository releases."""


def held() -> Manifest:
    """The manifest of its checkpoint."""
    return Manifest.read(RELEASED)


def vouched_for() -> list[str]:
    """The names of the checkpoint's files, its manifest among them; a training leaves others beside them."""
    return sorted([*held().files(), MANIFEST])


def network_files() -> list[str]:
    """The names of the network's files."""
    return sorted(str(path.relative_to(NETWORK)) for path in Path(NETWORK).rglob("*.py"))


def narrow(width: int) -> list[str]:
    """Options of `train` that give it another architecture: the fields of its config that are features, so wide."""
    names = [field.name for field in fields(MODEL.config) if field.name in ("width", "embedding", "hidden_size")]
    return [part for name in names for part in ("--set", f"{name}={width}")]
