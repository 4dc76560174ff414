"""Lang: one vocabulary for both languages. Text to token ids and back, as JSON.

Words are spelled in lower case wherever their case follows from a rule, so that "Je" and "je", or "DORMIR" and
"dormir", share one embedding. What the rule doesn't say is marked:

    Je vais dormir.      je vais dormir .          the first word's capital goes without saying
    je vais dormir.      ↓ je vais dormir .        no capital where one was due
    JE VAIS DORMIR.      ⇪ je vais dormir .        everything in capitals
    La SNCF recrute.     la ⇧ sncf recrute .       one word in capitals
    Tom est là.          Tom est là .              a word that is capitalised wherever it stands
    ⟦n1⟧ chiens          ⟦n1⟧ chiens               no capital is due after what is carried over

Punctuation and digits stand apart; the space before a closing mark isn't spelled, because each language has its rule
for it, and neither is the space before a slot: ``⁀`` says where there is none. What the vocabulary has no token for is
spelled in bytes, so nothing is unknown.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import ClassVar

from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, trainers

from .normalize import normalize

PAD, BOS, EOS = range(3)
SLOTS = tuple(f"⟦{kind}{number}⟧" for kind, most in (("n", 9), ("x", 6), ("p", 6)) for number in range(1, most + 1))
SPECIAL_TOKENS = ("<pad>", "<bos>", "<eos>", *SLOTS)
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_FIXED = (*SPECIAL_TOKENS, *BYTES)

SPACE = "▁"  # a token that begins with it begins a word
UPPER_WORD, UPPER_TEXT, LOWER_START, JOINED = "⇧", "⇪", "↓", "⁀"
_MARKS = UPPER_WORD + UPPER_TEXT + LOWER_START + JOINED
_LARGEST_ALPHABET = 160  # characters with a token of their own; the rest are bytes

_WORD = re.compile(r"(?<![⟦])[^\W\d_]+")
_SLOT = re.compile("⟦[nxp][1-9]⟧")
_RESERVED = re.compile(f"[{SPACE}{_MARKS}]")
_SPACE_BEFORE_CLOSING = re.compile(r" +(?=[.,?!;:])")
_ELISION = re.compile(r"(?<![^\W\d_'])((?:[ldjmtsnc]|qu|(?:lors|puis|quoi|jus)qu)')(?=[\w⇧])", re.IGNORECASE)
_PIECES = Regex(
    rf"[{_MARKS}]|[{SPACE}-]?\p{{L}}[\p{{L}}\p{{M}}]*(?:'\p{{L}}[\p{{L}}\p{{M}}]*)*'?|{SPACE}?[^{SPACE}{_MARKS}]|{SPACE}"
)
_SPACED_MARKS = {"fra": "?!;:"}  # closing marks that a space precedes, by language


class Lang:
    """The subword vocabulary (byte-pair encoding) of a pair of languages, built once, at training.

    It is the `model.contract.Vocabulary` of the network beside it.

    Attributes:
        language: ISO 639-3 codes of the source and of the target, ``fra-eng``.
        tokens: token of each id; the first are special ones, slots and bytes.
        counts: how often each token occurred in the text that the vocabulary was built from, by id.
        merges: the byte-pair merges in order, as pairs of tokens.
        capitalised: lower-cased words that are written with a capital wherever they stand.
    """

    pad, bos, eos, unk = PAD, BOS, EOS, None
    slots: ClassVar = {slot: number for number, slot in enumerate(SPECIAL_TOKENS) if slot in SLOTS}

    def __init__(
        self,
        language: str,
        tokens: Sequence[str],
        counts: Sequence[int],
        merges: Sequence[tuple[str, str]],
        capitalised: Iterable[str],
    ) -> None:
        self.language = language
        self.tokens = tuple(tokens)
        self.counts = tuple(counts)
        self.merges = tuple(merges)
        self.capitalised = frozenset(capitalised)
        self._spaced_marks = _SPACED_MARKS.get(language.rpartition("-")[2], "")
        ids = {token: id_ for id_, token in enumerate(self.tokens)}
        self._tokenizer = Tokenizer(models.BPE(vocab=ids, merges=list(self.merges), byte_fallback=True))
        self._tokenizer.pre_tokenizer = pre_tokenizers.Split(_PIECES, behavior="isolated")
        self._tokenizer.add_special_tokens([AddedToken(slot, special=True, normalized=False) for slot in SLOTS])

    def __len__(self) -> int:
        return len(self.tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lang) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]  # equal by content, so not a key

    @classmethod
    def build(cls, language: str, texts: Sequence[str], size: int) -> "Lang":
        """Learns a vocabulary of at most ``size`` tokens, special ones and bytes included, from sentences."""
        texts = [normalize(text) for text in texts]
        capitalised = _capitalised_words(texts)
        plain = cls(language, _FIXED, (0,) * len(_FIXED), (), capitalised)
        spelled = [plain._spell(text) for text in texts]
        learner = Tokenizer(models.BPE())
        learner.pre_tokenizer = pre_tokenizers.Split(_PIECES, behavior="isolated")
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=2,
            special_tokens=list(_FIXED),
            limit_alphabet=_LARGEST_ALPHABET,
            initial_alphabet=[SPACE, *_MARKS],
            show_progress=False,
        )
        learner.train_from_iterator((_SLOT.sub("", text) for text in spelled), trainer)
        learnt = json.loads(learner.to_str())["model"]
        tokens = sorted(learnt["vocab"], key=learnt["vocab"].__getitem__)
        merges = [(left, right) for left, right in learnt["merges"]]
        whole = cls(language, tokens, (0,) * len(tokens), merges, capitalised)
        occurrences = Counter(id_ for encoding in whole._tokenizer.encode_batch(spelled) for id_ in encoding.ids)
        return cls(language, tokens, [occurrences[id_] for id_ in range(len(tokens))], merges, capitalised)

    def encode(self, sentence: str) -> list[int]:
        """The ids of a text, ``EOS`` at the end."""
        return [*self._tokenizer.encode(self._spell(normalize(sentence))).ids, EOS]

    def encode_batch(self, sentences: Sequence[str]) -> list[list[int]]:
        """What ``encode`` says of each, on all of the processor's cores."""
        spelled = [self._spell(normalize(sentence)) for sentence in sentences]
        return [[*encoding.ids, EOS] for encoding in self._tokenizer.encode_batch_fast(spelled)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids up to the first ``EOS``: well spaced, well cased and without special tokens."""
        text: list[str] = []
        spelled = bytearray()
        for id_ in ids:
            if id_ == EOS:
                break
            if len(SPECIAL_TOKENS) <= id_ < len(_FIXED):
                spelled.append(id_ - len(SPECIAL_TOKENS))
                continue
            if spelled:
                text.append(_RESERVED.sub("", spelled.decode("utf-8", "ignore")))
                spelled.clear()
            if id_ >= len(_FIXED) or id_ > EOS:
                text.append(self.tokens[id_])
        text.append(_RESERVED.sub("", spelled.decode("utf-8", "ignore")))
        return self._unspell("".join(text))

    @classmethod
    def from_json(cls, text: str) -> "Lang":
        """The inverse of ``to_json``.

        Raises:
            ValueError, KeyError, TypeError: the text is no vocabulary.
        """
        stored = json.loads(text)
        tokens, counts = stored["tokens"], stored["counts"]
        if len(tokens) + len(_FIXED) != len(counts):
            raise ValueError("the counts don't fit the tokens")
        merges = [tuple(merge.split(" ")) for merge in stored["merges"]]
        try:
            return cls(stored["language"], (*_FIXED, *tokens), counts, merges, stored["capitalised"])
        except Exception as error:
            if type(error) is not Exception:  # what tokenizers raises for a merge that its vocabulary lacks
                raise
            raise ValueError(str(error)) from None

    def to_json(self) -> str:
        """The vocabulary as JSON, the same text for the same vocabulary; special tokens and bytes go without saying."""
        stored = {
            "language": self.language,
            "tokens": self.tokens[len(_FIXED) :],
            "counts": self.counts,
            "merges": [" ".join(merge) for merge in self.merges],
            "capitalised": sorted(self.capitalised),
        }
        return json.dumps(stored, ensure_ascii=False, separators=(",", ":")) + "\n"

    def _spell(self, text: str) -> str:
        """Text to the spelling that the subwords are learnt on: see the table at the top of this module."""
        text = _SPACE_BEFORE_CLOSING.sub("", _RESERVED.sub(" ", text).strip())
        letters = "".join(_WORD.findall(text))
        first = _WORD.search(text)
        slot = _SLOT.search(text)
        if len(letters) > 1 and letters.isupper():
            text = UPPER_TEXT + SPACE + _WORD.sub(lambda word: word.group().lower(), text)
        elif first is None or (slot and slot.start() < first.start()):
            text = SPACE + _WORD.sub(_mark_upper_word, text)
        else:
            start, word = first.start(), first.group()
            mark = ""
            if word[0].islower():
                mark = LOWER_START
            elif word[1:] == word[1:].lower() and word.lower() not in self.capitalised:
                text = text[:start] + word.lower() + text[first.end() :]
            text = mark + SPACE + _WORD.sub(_mark_upper_word, text)
        text = _ELISION.sub(rf"\1{SPACE}", text.replace(" ", SPACE))
        # A marked word's mark goes before its space: "⇧▁sncf", so that "▁sncf" is one piece.
        text = text.replace(SPACE + UPPER_WORD, UPPER_WORD + SPACE)
        if slot:
            text = _SLOT.sub(lambda slot: JOINED + slot.group(), text).replace(SPACE + JOINED, "")
        return text

    def _unspell(self, text: str) -> str:
        """The inverse of ``_spell``, but for spaces that the language's rules would not have put there."""
        mark = text[:1] if text[:1] in (UPPER_TEXT, LOWER_START) else ""
        slot = _SLOT.search(text)
        if slot:
            text = _SLOT.sub(lambda slot: SPACE + slot.group(), text).replace(JOINED + SPACE, "")
        text = text.replace(UPPER_WORD + SPACE, SPACE + UPPER_WORD)
        text = _ELIDED.sub(r"\1", text)
        text = re.sub(f"{UPPER_WORD}([^\\W\\d_]+)", lambda word: word.group(1).upper(), text)
        text = _RESERVED.sub(lambda found: " " if found.group() == SPACE else "", text)
        if self._spaced_marks:
            text = re.sub(rf"(?<=[\w⟧])(?=[{re.escape(self._spaced_marks)}](\W|$))", " ", text)
        text = re.sub(r" +", " ", text).strip()
        if mark == UPPER_TEXT:
            return _WORD.sub(lambda word: word.group().upper(), text)
        first = _WORD.search(text)
        slot = _SLOT.search(text)
        if mark == LOWER_START or first is None or (slot and slot.start() < first.start()):
            return text
        return text[: first.start()] + first.group()[0].upper() + text[first.start() + 1 :]


_ELIDED = re.compile(rf"(?<![^\W\d_'])((?:[ldjmtsnc]|qu|(?:lors|puis|quoi|jus)qu)'){SPACE}(?=[\w⇧])", re.IGNORECASE)


def _mark_upper_word(word: re.Match[str]) -> str:
    found = word.group()
    return UPPER_WORD + found.lower() if len(found) > 1 and found.isupper() else found


def _capitalised_words(texts: Iterable[str]) -> set[str]:
    """Words that stand capitalised inside sentences more often than not (names, "I", "English")."""
    capital: Counter[str] = Counter()
    lower: Counter[str] = Counter()
    for text in texts:
        words = _WORD.findall(text)
        if "".join(words).isupper():
            continue
        for word in words[1:]:
            if word.islower():
                lower[word] += 1
            elif word[0].isupper() and word[1:] == word[1:].lower():
                capital[word.lower()] += 1
    return {word for word, count in capital.items() if count > 2 and count > lower[word]}
