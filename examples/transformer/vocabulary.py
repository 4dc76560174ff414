"""Words: a language's frequent words; what isn't one of them is spelled."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
PAD, BOS, EOS, UNK = range(4)
_PIECE = re.compile(r"\w+|[^\w\s]")
_NO_SPACE_BEFORE = re.compile(r" (?=[.,!?;:'’)\]])|(?<=['’(\[]) ")
LETTER = "@"  # what begins with it goes on with the word before


class Words:
    """The `model.contract.Vocabulary` of the network beside it."""

    pad, bos, eos, unk = PAD, BOS, EOS, UNK

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = tuple(tokens)
        self._ids = {token: id_ for id_, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    @classmethod
    def build(cls, language: str, texts: Sequence[str], size: int) -> "Words":
        """The most frequent words, and every letter both alone and inside a word."""
        words = Counter(word for text in texts for word in _words(text))
        letters = sorted({letter for word in words for letter in word})
        spelled = [*letters, *(LETTER + letter for letter in letters)]
        frequent = [word for word, _ in sorted(words.items(), key=lambda item: (-item[1], item[0])) if len(word) > 1]
        return cls(dict.fromkeys([*SPECIAL, *spelled, *frequent][:size]))

    def encode(self, sentence: str) -> list[int]:
        """The ids of a sentence, ``EOS`` at the end."""
        return [id_ for word in _words(sentence) for id_ in self._spell(word)] + [EOS]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, with its first letter in upper case."""
        text = " ".join(self.tokens[id_] for id_ in ids if id_ > UNK)
        text = _NO_SPACE_BEFORE.sub("", text.replace(f" {LETTER}", ""))
        return text[:1].upper() + text[1:]

    def to_json(self) -> str:
        """The tokens."""
        return json.dumps(self.tokens, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Words":
        """The inverse of ``to_json``; raises ValueError for what isn't a vocabulary."""
        tokens = json.loads(text)
        if tuple(tokens[: len(SPECIAL)]) != SPECIAL:
            raise ValueError("the special tokens don't come first")
        return cls(tokens)

    def _spell(self, word: str) -> list[int]:
        if word in self._ids and word not in SPECIAL:
            return [self._ids[word]]
        return [self._ids.get(LETTER * (place > 0) + letter, UNK) for place, letter in enumerate(word)]


def _words(text: str) -> list[str]:
    """Lower case, and punctuation apart."""
    return _PIECE.findall(unicodedata.normalize("NFC", text).lower())
