"""A network from its folder, a config's settings and two vocabularies."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from model.checkpoint import Vocabularies
from model.contract import Model
from model.errors import DragomanError


class SettingUnknown(DragomanError):
    """A setting isn't a field of the network's config, or can't be its value."""


def settings_of(model: Model) -> dict[str, Any]:
    """The fields of a config that `train` and `adopt` set, with their defaults; the numbers of ids aside."""
    return {one.name: one.default for one in fields(model.config) if one.name not in _SIZES}


def assemble(model: Model, settings: Mapping[str, Any], vocabularies: Vocabularies) -> Any:
    """The network of a config with these settings, its weights drawn.

    Raises:
        SettingUnknown: the config has no such field, or can't have such a value.
    """
    known = settings_of(model)
    if unknown := [name for name in settings if name not in known]:
        raise SettingUnknown(f"The network has no setting {', '.join(unknown)}. It has {', '.join(known)}.")
    try:
        sizes = dict(zip(_SIZES, map(len, vocabularies), strict=True))
        return model.network(model.config(**sizes, **settings))
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise SettingUnknown(f"These settings build no network ({error}): {dict(settings)}.") from None


_SIZES = ("source_vocabulary", "target_vocabulary")
