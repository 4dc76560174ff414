"""A model version: a semantic version that is also a valid image tag, and what its number promises."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import total_ordering

from model.errors import DragomanError

_PATTERN = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
)

_NAME = re.compile(r"(?![vV]?[0-9])(?!sha256-|recipe-|modelpack-)[A-Za-z0-9_][\w.-]{0,127}", re.ASCII)


class VersionInvalid(DragomanError):
    """What was given as a version isn't a semantic version that can be a tag."""


class TagMoved(DragomanError):
    """A tag that is a version names another image than that version's, or than the one that was signed under it."""


@total_ordering
@dataclass(frozen=True)
class Version:
    """``major.minor.patch`` or ``major.minor.patch-prerelease`` (https://semver.org), ordered as there."""

    major: int
    minor: int
    patch: int
    prerelease: str = ""

    @classmethod
    def parse(cls, text: str) -> Version:
        """``1.0.0`` or ``1.1.0-rc.1``; VersionInvalid for anything else.

        Build metadata (``1.0.0+linux``) is refused too: an image tag can't hold a plus sign.
        """
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise VersionInvalid(
                f"{text!r} is not a version. Expected MAJOR.MINOR.PATCH, such as 1.0.0 or 1.1.0-rc.1 "
                "(no leading v, no build metadata: it becomes an image tag)."
            )
        major, minor, patch, prerelease = match.groups()
        return cls(int(major), int(minor), int(patch), prerelease or "")

    @classmethod
    def all_of(cls, texts: Iterable[str]) -> list[Version]:
        """The versions among ``texts`` (a registry's tags, say), lowest first; other texts are passed over."""
        return sorted(cls.parse(text) for text in texts if _PATTERN.fullmatch(text))

    def __str__(self) -> str:
        core = f"{self.major}.{self.minor}.{self.patch}"
        return f"{core}-{self.prerelease}" if self.prerelease else core

    def __lt__(self, other: object) -> bool:
        return self._order() < other._order() if isinstance(other, Version) else NotImplemented

    def _order(self) -> tuple[object, ...]:
        identifiers = [
            (0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.prerelease.split(".") if part
        ]
        return (self.major, self.minor, self.patch, not self.prerelease, identifiers)


def check_tag(tag: str, image: object, version: str, how: str) -> None:
    """TagMoved unless ``tag`` is the ``version`` of ``image``, or none that is a version: such names move.

    ``how`` completes the sentence "IMAGE … version 1.0.0".
    """
    if _is_of_another(tag, version):
        raise TagMoved(
            f"{image} {how} version {version}: the tag {tag} was moved to it. "
            f"Take {version} if that is meant, or push {tag} again under a new number."
        )


def check_new_tag(tag: str, image: object, version: str) -> None:
    """TagMoved where ``tag`` is a version and ``image``, which is to get it, is another one."""
    if _is_of_another(tag, version):
        raise TagMoved(
            f"The tag {tag} would stand for {image}, which says that it is version {version}. "
            "Leave it its number, or give it a name that moves, such as candidate."
        )


def _is_of_another(tag: str, version: str) -> bool:
    """Whether ``tag`` is a version, and not ``version``; where that isn't known, none is of another."""
    return bool(version) and version != tag and bool(Version.all_of([tag]))


def is_name(text: str) -> bool:
    """Whether it is a tag that may move from version to version, such as ``production``: no version looks like it."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True)
class Content:
    """What of an image decides how its version may be numbered: three digests of its manifest."""

    architecture: str
    weights: str
    langs: str


def warning(version: Version, content: Content, before: Version, content_before: Content) -> str | None:
    """One sentence when the step from ``before`` to ``version`` says something else than their contents do, or None.

    Major: old weights can't run in the new code. Minor: new weights. Patch: service or packaging only.
    """
    if version.prerelease or (version.major, version.minor, version.patch) == (
        before.major,
        before.minor,
        before.patch,
    ):
        return None
    said = "major" if version.major > before.major else "minor" if version.minor > before.minor else "patch"
    meant, reason = _step(content, content_before)
    if said == meant:
        return None
    number = {
        "major": Version(before.major + 1, 0, 0),
        "minor": Version(before.major, before.minor + 1, 0),
        "patch": Version(before.major, before.minor, before.patch + 1),
    }[meant]
    return f"{version} is a {said} step from {before}, but {reason}: a {meant} step, such as {number}, would say so."


def _step(content: Content, before: Content) -> tuple[str, str]:
    same_model = (content.weights, content.langs) == (before.weights, before.langs)
    if same_model:
        # Another architecture hash with the old weights is a restamped one: every output was shown to be what it was.
        return "patch", "weights and vocabularies are the same"
    if content.architecture != before.architecture:
        return "major", "its architecture is another one"
    return "minor", "its weights are new and its architecture is the same"
