"""What packages say of their licences, in SPDX's words where these have one for it (https://spdx.org/licenses)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_GNU = re.compile(
    r"(?P<family>[AL]?GPL|GFDL)(?P<niv>-NIV)?[-v]*(?P<version>[1-3](?:\.[0-3])?)(?P<later>\+?)", re.IGNORECASE
)
_GNU_VERSIONS = {
    "GPL": ("1.0", "2.0", "3.0"),
    "LGPL": ("2.0", "2.1", "3.0"),
    "AGPL": ("1.0", "3.0"),
    "GFDL": ("1.1", "1.2", "1.3"),
}
_GNU_IDS = frozenset(
    f"{family}-{version}{kept}-{reach}"
    for family, versions in _GNU_VERSIONS.items()
    for version in versions
    for kept in (("", "-no-invariants") if family == "GFDL" else ("",))
    for reach in ("only", "or-later")
)
_NAMED = {
    name.lower(): known
    for known, names in {
        "0BSD": (),
        "Apache-2.0": ("Apache-2", "Apache License 2.0", "Apache Software License"),
        "Artistic-1.0-Perl": ("Artistic",),
        "Artistic-2.0": (),
        "BSD-2-Clause": (),
        "BSD-3-Clause": ("BSD", "BSD License"),
        "BSD-4-Clause": (),
        "BSD-4-Clause-UC": (),
        "BSL-1.0": (),
        "Beerware": (),
        "CC-BY-2.0": (),
        "CC-BY-4.0": (),
        "CC0-1.0": (),
        "FSFAP": (),
        "FSFUL": (),
        "FSFULLR": (),
        "HPND": (),
        "ICU": (),
        "ISC": (),
        "Latex2e": (),
        "MIT": ("Expat", "MIT/X11", "MIT License"),
        "MPL-1.1": (),
        "MPL-2.0": (),
        "OpenSSL": (),
        "PSF-2.0": ("Python Software Foundation License",),
        "Python-2.0": (),
        "Sleepycat": (),
        "TCP-wrappers": ("BSD-tcp_wrappers",),
        "Unicode-3.0": (),
        "Unlicense": (),
        "X11": (),
        "Zlib": (),
        "bzip2-1.0.6": ("BZIP",),
        "curl": (),
    }.items()
    for name in (known, *names)
}
_EITHER = re.compile(r"\s+(?:or|and)\s+|_(?:or|and)_|,\s*", re.IGNORECASE)
_COMMON = re.compile(r"/usr/share/common-licenses/([A-Za-z]+(?:-\d(?:\.\d)?)?)")
_FORMAT = re.compile(r"^Format:.*copyright-format", re.MULTILINE)
_SYNOPSIS = re.compile(r"^License:[ \t]*(\S.*)$", re.MULTILINE)
_LONGEST = 48  # characters of a name; what is longer is the licence's text
_WORDS = 2  # of a name that isn't "... with an exception"


def spdx(name: str) -> str | None:
    """SPDX's identifier of a licence that somebody names so, or None."""
    known = _NAMED.get(name.strip().lower())
    match = _GNU.fullmatch(name.strip())
    if known or match is None:
        return known
    version = match["version"] if "." in match["version"] else f"{match['version']}.0"
    kept, reach = "-no-invariants" if match["niv"] else "", "or-later" if match["later"] else "only"
    found = f"{match['family'].upper()}-{version}{kept}-{reach}"
    return found if found in _GNU_IDS else None


def is_spdx(name: str) -> bool:
    """Whether this is an identifier of SPDX's that we know."""
    return name in _GNU_IDS or _NAMED.get(name.lower()) == name


def of_debian(copyright_file: str) -> tuple[str, ...]:
    """The licences in the copyright file of a Debian package, by SPDX's names, by Debian's where SPDX has none.

    All that any of its files is under. Where the file is prose, those that it leads to in common-licenses.
    """
    if _FORMAT.search(copyright_file):
        named = [part for line in _SYNOPSIS.findall(copyright_file) for part in _EITHER.split(line.strip())]
    else:
        named = [name.rstrip(".") for name in _COMMON.findall(copyright_file)]
    return _sorted(name for name in named if _is_name(name))


def of_wheel(fields: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The licences in the METADATA of a wheel, from its (name, value) pairs: an expression, a name, or classifiers."""
    told = list(fields)
    expressions = [value for name, value in told if name == "License-Expression"]
    named = [value for name, value in told if name == "License" and 0 < len(value) <= _LONGEST and "\n" not in value]
    prefix = "License :: "
    classed = [value.rpartition(" :: ")[2] for name, value in told if name == "Classifier" and value.startswith(prefix)]
    return tuple(expressions[:1]) or _sorted(named) or _sorted(classed)


def _is_name(text: str) -> bool:
    """Whether this is what a licence is called, and not how its text begins, which some files have in its place."""
    short = len(text.split()) <= _WORDS or " with " in text.lower() or spdx(text) is not None
    return short and 0 < len(text) <= _LONGEST


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({spdx(name) or name.strip() for name in names}, key=lambda name: (name.lower(), name)))
