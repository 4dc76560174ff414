"""What packages are in an image, what SPDX calls their licences, and what ModelPack is told of a model."""

import json

import pytest

from build_model.image import licences, modelpack, oci
from build_model.image.iso639 import two_letters
from build_model.image.packages import Package, Stream, of_layers, packages

STATUS = b"""Package: libssl3
Status: install ok installed
Architecture: amd64
Version: 3.0.17-1~deb12u3
Description: a library
 Package: nonsense

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2025b-0+deb12u2
"""
PROSE = b"This is Debian's package. The licence is in `/usr/share/common-licenses/GPL-2'.\n"
BILL = {
    "bomFormat": "CycloneDX",
    "components": [
        {
            "name": "ahash",
            "version": "0.8.12",
            "purl": "pkg:cargo/ahash@0.8.12",
            "licenses": [{"expression": "MIT OR Apache-2.0"}],
        },
        {"name": "here", "version": "1", "purl": "pkg:cargo/here@1?download_url=file:///home/somebody"},
        {"name": "nameless"},
    ],
}
FILES = {
    "var/lib/dpkg/status": STATUS,
    "usr/share/doc/tzdata/copyright": PROSE,
    "opt/site-packages/Typing_Extensions-4.16.0.dist-info/METADATA": (
        b"Name: Typing_Extensions\nVersion: 4.16.0\n\nName: no header\n"
    ),
    "opt/site-packages/tokenizers-0.23.3.dist-info/METADATA": (
        b"Name: tokenizers\nVersion: 0.23.3\nClassifier: License :: OSI Approved :: Apache Software License\n"
    ),
    "opt/site-packages/tokenizers-0.23.3.dist-info/sboms/rust.cyclonedx.json": json.dumps(BILL).encode(),
    "usr/local/lib/libpython3.11.so.1.0": b"\x7fELF\0\0003.11.14\0",
    "usr/lib/python3/dist-packages/none/METADATA": b"Name: no package\nVersion: 1\n",
}


def test_packages_are_debians_pythons_and_what_was_compiled_into_those() -> None:
    found = packages(FILES)
    assert [(one.name, one.purl, one.licences) for one in found] == [
        ("libssl3", "pkg:deb/debian/libssl3@3.0.17-1~deb12u3?arch=amd64", ()),
        ("tzdata", "pkg:deb/debian/tzdata@2025b-0%2Bdeb12u2?arch=all", ("GPL-2.0-only",)),
        ("python", "pkg:generic/python@3.11.14", ("PSF-2.0",)),
        ("tokenizers", "pkg:pypi/tokenizers@0.23.3", ("Apache-2.0",)),
        ("Typing_Extensions", "pkg:pypi/typing-extensions@4.16.0", ()),
    ]
    assert found[3].parts == (
        Package("ahash", "0.8.12", "pkg:cargo/ahash@0.8.12", ("MIT OR Apache-2.0",)),
        Package("here", "1", "pkg:cargo/here@1"),
    )


def test_they_are_read_from_compressed_layers_in_pieces_of_any_size() -> None:
    content = oci.layer(dict(FILES)).blob.content
    assert isinstance(content, bytes)
    pieces = [content[start : start + 7] for start in range(0, len(content), 7)]
    assert of_layers([pieces, [oci.layer({"etc/hostname": b"x"}).blob.content]]) == packages(FILES)  # type: ignore[list-item]


def test_pieces_are_read_as_a_file_empty_ones_too() -> None:
    stream = Stream(iter([b"", b"ab", b"", b"cdef", b""]))
    assert [stream.read(3), stream.read(0), stream.read(1), stream.read(), stream.read(1)] == [
        b"abc",
        b"",
        b"d",
        b"ef",
        b"",
    ]


@pytest.mark.parametrize(
    "bill", [b"", b"[]", b'{"components": 1}', b'{"components": [1]}', b'{"components": [{"name": 1}]}']
)
def test_a_wheels_bill_that_is_none_is_passed_over(bill: bytes) -> None:
    files = {**FILES, "opt/site-packages/tokenizers-0.23.3.dist-info/sboms/rust.cyclonedx.json": bill}
    assert packages(files)[3].parts == ()


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-2", "GPL-2.0-only"),
        ("GPLv3+", "GPL-3.0-or-later"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("LGPL-2", "LGPL-2.0-only"),
        ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
        ("Expat", "MIT"),
        ("BSD-3-clause", "BSD-3-Clause"),
        ("Apache-2", "Apache-2.0"),
        ("Apache Software License", "Apache-2.0"),
        ("LGPL-1", None),
        ("GPL", None),
        ("public-domain", None),
        ("GPL-3+ with Bison exception", None),
    ],
)
def test_spdx_has_a_name_for_it_or_none(name: str, known: str | None) -> None:
    assert licences.spdx(name) == known
    assert known is None or licences.is_spdx(known)


def test_a_copyright_file_names_all_licences_of_its_files_and_no_texts() -> None:
    text = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Files: *
License: GPL-2+ or Artistic

Files: a
License: Permission is hereby granted, free of charge, to any person obtaining a copy

License: public-domain
 whoever
"""
    assert licences.of_debian(text) == ("Artistic-1.0-Perl", "GPL-2.0-or-later", "public-domain")


def test_a_wheels_expression_counts_before_its_name_and_that_before_classifiers() -> None:
    classed = ("Classifier", "License :: OSI Approved :: MIT License")
    named, expressed = ("License", "BSD-3-Clause"), ("License-Expression", "Apache-2.0 AND BSD-2-Clause")
    assert licences.of_wheel([classed, named, expressed]) == ("Apache-2.0 AND BSD-2-Clause",)
    assert licences.of_wheel([classed, named]) == ("BSD-3-Clause",)
    assert licences.of_wheel([classed, ("License", "The MIT License\n\nCopyright ...")]) == ("MIT",)
    assert licences.of_wheel([]) == ()


@pytest.mark.parametrize(
    ("code", "two"), [("fra", "fr"), ("eng", "en"), ("deu", "de"), ("en", "en"), ("grc", None), ("", None)]
)
def test_languages_have_two_letters_where_iso_639_1_has_them(code: str, two: str | None) -> None:
    assert two_letters(code) == two


def test_modelpack_is_told_how_many_parameters_there_are_and_how_most_are_held() -> None:
    labels = {
        "dragoman.architecture": "a" * 64,
        "org.opencontainers.image.licenses": "Apache-2.0 AND CC-BY-2.0",
        "org.opencontainers.image.version": "2.0.0",
    }
    model = {"source": "grc", "target": "eng", "tensors": {"a": "F16 [1000, 6700]", "b": "F32 [288]", "c": "F32 []"}}
    config = json.loads(modelpack.config("me/grc-eng", labels, model, ["sha256:1d"]).content)  # type: ignore[arg-type]
    assert config["config"]["paramSize"] == "6.7M"
    assert config["config"]["precision"] == "fp16"
    assert config["config"]["capabilities"]["languages"] == ["en"]
    assert config["descriptor"]["name"] == "grc-eng"
    assert config["descriptor"]["licenses"] == ["Apache-2.0 AND CC-BY-2.0"]
