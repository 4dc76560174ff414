"""Lang: one language's vocabulary. Text to token ids and back, stored as JSON.

Words are spelled in lower case wherever their case follows from a rule, so that "Je" and "je", or "DORMIR" and
"dormir", share one embedding. What the rule doesn't say is marked:

    Je vais dormir.      je vais dormir .          the first word's capital goes without saying
    je vais dormir.      ↓ je vais dormir .        no capital where one was due
    JE VAIS DORMIR.      ⇪ je vais dormir .        everything in capitals
    La SNCF recrute.     la ⇧ sncf recrute .       one word in capitals
    Tom est là.          Tom est là .              a word that is capitalised wherever it stands

Punctuation and digits stand apart; the space before a closing mark isn't spelled, because each language has its rule
for it.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from .normalize import normalize

SPECIAL_TOKENS = ("<pad>", "<bos>", "<eos>", "<unk>")
PAD, BOS, EOS, UNK = range(4)

SPACE = "▁"  # a token that begins with it begins a word
UPPER_WORD, UPPER_TEXT, LOWER_START = "⇧", "⇪", "↓"
_MARKS = UPPER_WORD + UPPER_TEXT + LOWER_START

_WORD = re.compile(r"[^\W\d_]+")
_RESERVED = re.compile(f"[{SPACE}{_MARKS}]")
_SPACE_BEFORE_CLOSING = re.compile(r" +(?=[.,?!;:])")
_PIECES = Regex(
    rf"[{_MARKS}]|[{SPACE}-]?\p{{L}}[\p{{L}}\p{{M}}]*(?:'\p{{L}}[\p{{L}}\p{{M}}]*)*'?|{SPACE}?[^{SPACE}{_MARKS}]|{SPACE}"
)


@dataclass(frozen=True)
class Typography:
    """What a language's spacing rules are: the closing marks that a space precedes, and whether words elide (l'eau)."""

    spaced_marks: str
    elision: bool


TYPOGRAPHY = {
    "fra": Typography(spaced_marks="?!;:", elision=True),
    "eng": Typography(spaced_marks="", elision=False),
}
_NO_RULES = Typography(spaced_marks="", elision=False)


class Lang:
    """The subword vocabulary (byte-pair encoding) of one language, built once, at training.

    It is the `model.contract.Vocabulary` of the network beside it.

    Attributes:
        code: ISO 639-3 code of the language.
        tokens: token of each id; the first four are ``SPECIAL_TOKENS``.
        counts: how often each token occurred in the text that the vocabulary was built from, by id.
        merges: the byte-pair merges in order, as pairs of tokens.
        capitalised: lower-cased words that are written with a capital wherever they stand.
    """

    pad, bos, eos, unk = PAD, BOS, EOS, UNK

    def __init__(
        self,
        code: str,
        tokens: Sequence[str],
        counts: Sequence[int],
        merges: Sequence[tuple[str, str]],
        capitalised: Iterable[str],
    ) -> None:
        self.code = code
        self.tokens = tuple(tokens)
        self.counts = tuple(counts)
        self.merges = tuple(merges)
        self.capitalised = frozenset(capitalised)
        self._typography = TYPOGRAPHY.get(code, _NO_RULES)
        vocabulary = {token: id_ for id_, token in enumerate(self.tokens)}
        self._tokenizer = Tokenizer(
            models.BPE(vocab=vocabulary, merges=list(self.merges), unk_token=SPECIAL_TOKENS[UNK])
        )
        self._tokenizer.pre_tokenizer = pre_tokenizers.Split(_PIECES, behavior="isolated")

    def __len__(self) -> int:
        return len(self.tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lang) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]  # equal by content, so not a key

    @classmethod
    def build(cls, language: str, texts: Sequence[str], size: int) -> "Lang":
        """Learns a vocabulary of at most ``size`` tokens, special ones included, from sentences."""
        code, texts = language, [normalize(text) for text in texts]
        capitalised = _capitalised_words(texts)
        plain = cls(code, SPECIAL_TOKENS, (0,) * len(SPECIAL_TOKENS), (), capitalised)
        spelled = [plain._spell(text) for text in texts]
        learner = Tokenizer(models.BPE(unk_token=SPECIAL_TOKENS[UNK]))
        learner.pre_tokenizer = pre_tokenizers.Split(_PIECES, behavior="isolated")
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=2,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=[SPACE, *_MARKS],
            show_progress=False,
        )
        learner.train_from_iterator(spelled, trainer)
        learnt = json.loads(learner.to_str())["model"]
        tokens = sorted(learnt["vocab"], key=learnt["vocab"].__getitem__)
        occurrences = Counter(id_ for encoding in learner.encode_batch(spelled) for id_ in encoding.ids)
        merges = [(left, right) for left, right in learnt["merges"]]
        return cls(code, tokens, [occurrences[id_] for id_ in range(len(tokens))], merges, capitalised)

    def encode(self, sentence: str) -> list[int]:
        """The ids of a text, ``EOS`` at the end; a character never seen at training is ``UNK``."""
        return [*self._tokenizer.encode(self._spell(normalize(sentence))).ids, EOS]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids up to the first ``EOS``: well spaced, well cased and without special tokens."""
        pieces = []
        for id_ in ids:
            if id_ == EOS:
                break
            if id_ >= len(SPECIAL_TOKENS):
                pieces.append(self.tokens[id_])
        return self._unspell("".join(pieces))

    @classmethod
    def from_json(cls, text: str) -> "Lang":
        """The inverse of ``to_json``.

        Raises:
            ValueError, KeyError, TypeError: the text is no vocabulary.
        """
        stored = json.loads(text)
        tokens, counts = stored["tokens"], stored["counts"]
        if tuple(tokens[: len(SPECIAL_TOKENS)]) != SPECIAL_TOKENS or len(tokens) != len(counts):
            raise ValueError("the special tokens or the counts don't fit the tokens")
        merges = [(left, right) for left, right in stored["merges"]]
        try:
            return cls(stored["code"], tokens, counts, merges, stored["capitalised"])
        except Exception as error:
            if type(error) is not Exception:  # what tokenizers raises for a merge that its vocabulary lacks
                raise
            raise ValueError(str(error)) from None

    def to_json(self) -> str:
        """The vocabulary as JSON, the same text for the same vocabulary."""
        stored = {
            "code": self.code,
            "tokens": self.tokens,
            "counts": self.counts,
            "merges": self.merges,
            "capitalised": sorted(self.capitalised),
        }
        return json.dumps(stored, ensure_ascii=False, separators=(",", ":")) + "\n"

    def _spell(self, text: str) -> str:
        """Text to the spelling that the subwords are learnt on: see the table at the top of this module."""
        text = _SPACE_BEFORE_CLOSING.sub("", _RESERVED.sub(" ", text).strip())
        letters = "".join(_WORD.findall(text))
        first = _WORD.search(text)
        if len(letters) > 1 and letters.isupper():
            text = UPPER_TEXT + SPACE + text.lower()
        elif first is None:
            text = SPACE + text
        else:
            start, word = first.start(), first.group()
            mark = ""
            if word[0].islower():
                mark = LOWER_START
            elif word[1:] == word[1:].lower() and word.lower() not in self.capitalised:
                text = text[:start] + word.lower() + text[first.end() :]
            text = mark + SPACE + _WORD.sub(_mark_upper_word, text)
        text = text.replace(" ", SPACE)
        # A marked word's mark goes before its space: "⇧▁sncf", so that "▁sncf" is one piece.
        text = text.replace(SPACE + UPPER_WORD, UPPER_WORD + SPACE)
        return re.sub(r"(?<=\w)'(?=[\w⇧])", "'" + SPACE, text) if self._typography.elision else text

    def _unspell(self, text: str) -> str:
        """The inverse of ``_spell``, but for spaces that the language's rules would not have put there."""
        mark = text[:1] if text[:1] in (UPPER_TEXT, LOWER_START) else ""
        text = text.replace(UPPER_WORD + SPACE, SPACE + UPPER_WORD)
        if self._typography.elision:
            text = text.replace("'" + SPACE, "'")
        text = re.sub(f"{UPPER_WORD}([^\\W\\d_]+)", lambda word: word.group(1).upper(), text)
        text = _RESERVED.sub(lambda found: " " if found.group() == SPACE else "", text)
        if self._typography.spaced_marks:
            text = re.sub(rf"(?<=\w)(?=[{re.escape(self._typography.spaced_marks)}](\W|$))", " ", text)
        text = re.sub(r" +", " ", text).strip()
        if mark == UPPER_TEXT:
            return text.upper()
        first = _WORD.search(text)
        if mark == LOWER_START or first is None:
            return text
        return text[: first.start()] + first.group()[0].upper() + text[first.start() + 1 :]


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
    return {word for word, count in capital.items() if count > 1 and count > lower[word]}
