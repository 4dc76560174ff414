"""Ways of typing, applied to training sources so that they matter little to the model: carelessness and misspelling.

Targets are never touched, and neither are slots or names: a name is copied as it is typed.
"""

import re
import unicodedata
from collections.abc import Sequence
from random import Random

CARELESS = 0.3  # share of sources that are typed carelessly
MISSPELLED = 0.17  # and of those that are misspelled, carelessly too
_CAPITALS, _LOWER_START, _NO_FINAL_MARK, _NO_ACCENTS, _NO_JOINERS = 0.1, 0.4, 0.4, 0.3, 0.1
_HEARD, _SLIPPED = 0.55, 0.6  # of the misspelled
_SECOND_SLIP = 0.25

_FINAL_MARK = re.compile(r"\s*[.!?]+$")
_ACCENT = re.compile(r"[\u0300-\u036f]")
_APOSTROPHE = re.compile(r"(?<=\w)'(?=\w)")
_HYPHEN = re.compile(r"(?<=\w)-(?=\w)")
_WORD = re.compile(r"(?<!⟦)[^\W\d_]+(?:-[^\W\d_]+)*")
_SINGLE, _DOUBLE = "single", "double"

# What is written by ear and in a hurry: what is meant, what is typed, how often where it occurs.
_HABITS: dict[str, tuple[tuple[str, tuple[str, ...], float], ...]] = {
    "fra": (
        (r"\bqu'est-ce qu(?=[e'])", ("quesqu", "qu'est ce qu", "kesk"), 0.65),
        (r"\bparce qu", ("parcequ", "pasqu"), 0.65),
        (r"\bc'est\b", ("cest", "c est", "ces", "s'est"), 0.32),
        (r"\bj'ai\b", ("jai", "j ai", "g"), 0.45),
        (r"\bça\b", ("sa", "ca", "ça"), 0.65),
        (r"\bil y a\b", ("y a", "ya", "il ya"), 0.5),
        (r"(?<=[a-zé]{3})er\b", ("é", "ez"), 0.15),
        (r"(?<=[a-z]{3})é\b", ("er", "ée", "e"), 0.2),
        (r"(?<=[a-z]{3})ez\b", ("er", "é"), 0.2),
        (r"\bà\b", ("a",), 0.5),
        (r"\boù\b", ("ou",), 0.5),
        (r"\bmême\b", ("meme", "mème"), 0.5),
        (r"\bêtre\b", ("etre",), 0.5),
        (r"(?<=[a-z]{2})ph(?=[a-z])", ("f",), 0.4),
        (r"(?<=[aeiou])(ll|tt|nn|mm|pp|rr|ss|ff|cc)(?=[a-zé])", (_SINGLE,), 0.24),
        (r"(?<=[aeiou])([lntmprf])(?=[aeiouéè])", (_DOUBLE,), 0.08),
        (r"\bpeut-être\b", ("peut être", "peut etre"), 0.5),
        (r"\baujourd'hui\b", ("aujourdhui", "ajd", "aujourd hui"), 0.65),
        (r"\bquelqu'un\b", ("quelquun", "kelkun", "quelqu un"), 0.5),
        (r"\bd'accord\b", ("daccord", "dacc", "d accord"), 0.5),
        (r"\bpourquoi\b", ("pk", "pourkoi", "pourqoi"), 0.32),
        (r"\bbeaucoup\b", ("bcp", "baucoup", "beaucou"), 0.4),
        (r"\bbonjour\b", ("bjr", "bonjours", "bonjou"), 0.25),
        (r"\bs'il vous plaît\b", ("svp", "s'il vous plait", "sil vous plait"), 0.65),
        (r"\bs'il te plaît\b", ("stp", "s'il te plait", "sil te plait"), 0.65),
        (r"\btoujours\b", ("tjrs", "toujour"), 0.32),
        (r"\bmaintenant\b", ("mtn", "maintenan", "maintenent"), 0.25),
        (r"\bquand\b", ("qd", "quan", "quant"), 0.2),
        (r"\bqu'", ("qu ", "k'"), 0.13),
        (r"\bses\b", ("ces",), 0.15),
        (r"\bces\b", ("ses",), 0.15),
        (r"\bleurs?\b", ("leur", "leurs"), 0.13),
        (r"(?<=[a-z]{2})ent\b", ("ent", "es", "e"), 0.1),
        (r"(?<=[a-z]{3}[^s])s\b", ("",), 0.08),
        (r"(?<=[a-zé]{3})e\b", ("es", ""), 0.05),
    ),
    "eng": (
        (r"\bi'm\b", ("im", "i m"), 0.4),
        (r"(?<=[a-z])n't\b", ("nt",), 0.4),
        (r"\byou're\b", ("your", "youre", "ur"), 0.4),
        (r"\byour\b", ("ur", "you're"), 0.15),
        (r"\byou\b", ("u",), 0.1),
        (r"\bare\b", ("r",), 0.05),
        (r"\bit's\b", ("its",), 0.5),
        (r"\bits\b", ("it's",), 0.3),
        (r"\bthey're\b", ("their", "there", "theyre"), 0.4),
        (r"\btheir\b", ("there", "thier"), 0.3),
        (r"\bthere\b", ("their",), 0.1),
        (r"\b(?:can not|cannot)\b", ("cant",), 0.3),
        (r"\bbecause\b", ("cuz", "becuase", "cause", "bc"), 0.4),
        (r"\bplease\b", ("pls", "plz"), 0.3),
        (r"\bthanks\b", ("thx", "thanx"), 0.3),
        (r"\btomorrow\b", ("tommorow", "tomorow", "tmrw"), 0.4),
        (r"\btonight\b", ("tonite", "2nite"), 0.2),
        (r"\bpeople\b", ("ppl", "peple"), 0.2),
        (r"\bgoing to\b", ("gonna",), 0.2),
        (r"\bwant to\b", ("wanna",), 0.2),
        (r"\bdon't know\b", ("dunno",), 0.2),
        (r"\b(w|c|sh)ould have\b", (r"\1ould of",), 0.3),
        (r"\ba lot\b", ("alot",), 0.4),
        (r"\bdefinitely\b", ("definately", "defiantly"), 0.6),
        (r"\breceive", ("recieve",), 0.5),
        (r"\btoo\b", ("to",), 0.3),
        (r"(?<=[a-z]{3})ing\b", ("in",), 0.06),
        (r"(?<=[aeiou])(ll|tt|nn|mm|pp|rr|ss|ff|cc)(?=[a-z])", (_SINGLE,), 0.2),
        (r"(?<=[aeiou])([lntmprf])(?=[aeiou])", (_DOUBLE,), 0.06),
        (r"(?<=[a-z]{3})ei(?=[a-z])|(?<=[a-z]{3})ie(?=[a-z])", ("ei", "ie"), 0.15),
    ),
}
_BY_EAR = {
    language: [(re.compile(pattern, re.IGNORECASE), ways, share) for pattern, ways, share in habits]
    for language, habits in _HABITS.items()
}
_AZERTY, _QWERTY = ("azertyuiop", "qsdfghjklm", "wxcvbn"), ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_KEYBOARDS = {"fra": (_AZERTY, _QWERTY), "eng": (_QWERTY,), "deu": (("qwertzuiop", "asdfghjkl", "yxcvbnm"),)}


def retype(text: str, random: Random, language: str) -> str:
    """The text as somebody might type it; most of the time as it is. The same draws give the same text.

    Args:
        language: ISO 639-3 code; what is written by ear is known of ``fra`` and ``eng``, keys of both.
    """
    draw = random.random()
    if draw >= CARELESS + MISSPELLED:
        return text
    if draw < MISSPELLED:
        text = misspell(text, random, language)
    if random.random() < _NO_ACCENTS:
        text = strip_accents(text, random if random.random() < 0.3 else None)
    if random.random() < _NO_FINAL_MARK:
        text = _FINAL_MARK.sub("", text) or text
    if random.random() < _NO_JOINERS:
        text = _HYPHEN.sub(" ", text)
    if random.random() < _NO_JOINERS:
        text = _APOSTROPHE.sub(" " if random.random() < 0.3 else "", text)
    if random.random() < _CAPITALS:
        text = _WORD.sub(lambda word: word[0].upper(), text)
    elif random.random() < _LOWER_START:
        text = text[:1].lower() + text[1:]
    return text


def misspell(text: str, random: Random, language: str) -> str:
    """The text with words written by ear, and with a slip of the fingers or two."""
    if random.random() < _HEARD:
        for pattern, ways, share in _BY_EAR.get(language, ()):
            text = pattern.sub(lambda found: _by_ear(found, ways, share, random), text)  # noqa: B023 (called at once)
    if random.random() < _SLIPPED:
        words = [word for word in _WORD.finditer(text) if len(word[0]) > 3 and not _is_name(word)]
        count = min(len(words), 2 if len(words) >= 7 and random.random() < _SECOND_SLIP else 1)
        for word in sorted(random.sample(words, count), key=lambda word: -word.start()):
            text = text[: word.start()] + slip(word[0], random, language) + text[word.end() :]
    return text


def slip(word: str, random: Random, language: str) -> str:
    """The word with a letter left out, doubled, swapped with the next, or replaced by a key beside it."""
    at = random.randrange(1, len(word)) if random.random() < 0.85 else 0
    draw = random.random()
    if draw < 0.28:
        return word[:at] + word[at + 1 :]
    if draw < 0.45:
        return word[:at] + word[at] + word[at:]
    if draw < 0.65 and at + 1 < len(word):
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    near = _NEIGHBOURS.get(language, _OTHER_NEIGHBOURS).get(unicodedata.normalize("NFD", word[at])[0].lower())
    if not near:
        return word
    key = random.choice(near)
    return word[:at] + (key.upper() if word[at].isupper() else key) + word[at + (draw < 0.9) :]


def strip_accents(text: str, random: Random | None = None) -> str:
    """The text without accents, cedillas and the like; with ``random``, each is lost half of the time."""
    decomposed = unicodedata.normalize("NFD", text)
    if random is None:
        return unicodedata.normalize("NFC", _ACCENT.sub("", decomposed))
    return unicodedata.normalize(
        "NFC", _ACCENT.sub(lambda accent: "" if random.random() < 0.5 else accent.group(), decomposed)
    )


def _is_name(word: re.Match[str]) -> bool:
    return word.start() > 0 and not word[0][0].islower()


def _by_ear(found: re.Match[str], ways: tuple[str, ...], share: float, random: Random) -> str:
    if random.random() >= share:
        return found[0]
    way = random.choice(ways)
    if way == _SINGLE:
        return found[0][0]
    if way == _DOUBLE:
        return found[0] * 2
    way = found.expand(way)
    return way.capitalize() if found[0][0].isupper() else way


def _neighbours(keyboards: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """The keys around each letter, on any of some keyboards."""
    near: dict[str, set[str]] = {}
    for rows in keyboards:
        for number, row in enumerate(rows):
            for at, key in enumerate(row):
                around = near.setdefault(key, set())
                around.update(row[max(0, at - 1) : at] + row[at + 1 : at + 2])
                if number + 1 < len(rows):
                    around.update(rows[number + 1][max(0, at - 1) : at + 1])
                if number:
                    around.update(rows[number - 1][at : at + 2])
    return {key: sorted(around) for key, around in near.items()}


_NEIGHBOURS = {language: _neighbours(keyboards) for language, keyboards in _KEYBOARDS.items()}
_OTHER_NEIGHBOURS = _neighbours((_QWERTY,))
