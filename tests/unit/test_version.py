"""Model versions: what one is, how they are ordered, and when a number says something else than the content."""

import pytest

from build_model.image.version import Content, Version, VersionInvalid, warning

A = Content(architecture="a", weights="w", langs="l")
NEW_WEIGHTS = Content(architecture="a", weights="w2", langs="l")
NEW_ARCHITECTURE = Content(architecture="a2", weights="w2", langs="l")
RESTAMPED = Content(architecture="a2", weights="w", langs="l")


@pytest.mark.parametrize("text", ["1.0.0", "0.1.10", "1.1.0-rc.1", "2.0.0-alpha", "1.0.0-0a"])
def test_a_semantic_version_is_read_and_written_unchanged(text: str) -> None:
    assert str(Version.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "1", "1.0", "v1.0.0", "1.0.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.0+linux", "latest"]
)
def test_anything_else_is_refused_and_named(text: str) -> None:
    with pytest.raises(VersionInvalid, match="is not a version") as refusal:
        Version.parse(text)
    assert repr(text) in str(refusal.value)


def test_versions_are_ordered_as_semver_orders_them() -> None:
    ordered = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0",
        "1.9.0",
        "1.10.0",
    ]
    assert [str(version) for version in Version.all_of(reversed(ordered))] == ordered


def test_tags_that_are_no_versions_are_passed_over() -> None:
    assert Version.all_of(["latest", "1.0.0", "sha-1234"]) == [Version(1, 0, 0)]


@pytest.mark.parametrize(
    ("number", "content"),
    [
        ("2.0.0", NEW_ARCHITECTURE),
        ("1.1.0", NEW_WEIGHTS),
        ("1.0.1", A),
        ("1.0.1", RESTAMPED),
        ("1.1.0-rc.1", NEW_ARCHITECTURE),
    ],
)
def test_a_number_that_says_what_the_content_does_needs_no_warning(number: str, content: Content) -> None:
    assert warning(Version.parse(number), content, Version(1, 0, 0), A) is None


@pytest.mark.parametrize(
    ("number", "content", "said", "better"),
    [
        ("1.1.0", NEW_ARCHITECTURE, "its architecture is another one", "2.0.0"),
        ("1.0.1", NEW_ARCHITECTURE, "its architecture is another one", "2.0.0"),
        ("1.0.1", NEW_WEIGHTS, "its weights are new", "1.1.0"),
        ("2.0.0", NEW_WEIGHTS, "its weights are new", "1.1.0"),
        ("1.1.0", A, "weights and vocabularies are the same", "1.0.1"),
    ],
)
def test_a_number_that_says_otherwise_is_warned_about_with_a_better_one(
    number: str, content: Content, said: str, better: str
) -> None:
    sentence = warning(Version.parse(number), content, Version(1, 0, 0), A)
    assert sentence is not None
    assert said in sentence
    assert better in sentence
