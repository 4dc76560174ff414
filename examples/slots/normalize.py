"""Raw text to normalised text: the same function in training and in service."""

import re
import unicodedata

# Ways of typing one character. Case, accents and punctuation are the model's business and stay.
_VARIANTS = str.maketrans(
    {
        "\u2018": "'",  # single quotation marks, and accents and primes typed for an apostrophe
        "\u2019": "'",
        "\u201a": "'",
        "\u201b": "'",
        "\u02bc": "'",
        "\u2032": "'",
        "\u00b4": "'",
        "\u0060": "'",
        "\uff07": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u201e": '"',
        "\u201f": '"',
        "\u2033": '"',
        "\u00ab": '"',
        "\u00bb": '"',
        "\u2010": "-",  # hyphens and the dashes that stand for them
        "\u2011": "-",
        "\u2012": "-",
        "\u2013": "-",
        "\u2014": "-",
        "\u2015": "-",
        "\u2212": "-",
        "\u2026": "...",
        "\u0153": "oe",  # ligatures that most keyboards lack: coeur is typed far more often than cœur
        "\u0152": "Oe",
        "\u00e6": "ae",
        "\u00c6": "Ae",
    }
)
_SPACES = re.compile(r"\s+")
_KEPT_CONTROLS = "\t\n\r\x0b\x0c\x85\u2028\u2029"  # they separate words, so they become a space, not nothing


def normalize(text: str) -> str:
    """The text in NFC with typographic variants folded, control characters dropped and single spaces.

    Idempotent: ``normalize(normalize(text)) == normalize(text)``. Raises nothing for any ``str``.
    """
    text = unicodedata.normalize("NFC", text).translate(_VARIANTS)
    if not text.isprintable():  # controls (Cc), formats such as zero-width spaces (Cf), lone surrogates, odd spaces
        text = "".join(
            character for character in text if character in _KEPT_CONTROLS or unicodedata.category(character)[0] != "C"
        )
    return _SPACES.sub(" ", unicodedata.normalize("NFC", text)).strip()
