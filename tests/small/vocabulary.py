"""Words, and slots; what isn't known is spelled."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

PAD, BOS, EOS, UNK = range(4)
SLOTS = tuple(f"⟦{kind}{number}⟧" for kind, most in (("n", 9), ("x", 6), ("p", 6)) for number in range(1, most + 1))
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>", *SLOTS)
LETTER = "@"  # what begins with it goes on with the word before
_PIECE = re.compile(r"⟦[nxp][1-9]⟧|\w+|[^\w\s]")
_NO_SPACE = re.compile(r" (?=[.,!?;:'’])|(?<=['’]) ")


class Words:
    """The `model.contract.Vocabulary` of the network beside it."""

    pad, bos, eos, unk = PAD, BOS, EOS, UNK
    slots: ClassVar = {slot: number for number, slot in enumerate(SPECIAL) if slot in SLOTS}

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = tuple(tokens)
        self._ids = {token: id_ for id_, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    @classmethod
    def build(cls, language: str, texts: Sequence[str], size: int) -> "Words":
        """Letters, then the most frequent words."""
        words = Counter(word for text in texts for word in _PIECE.findall(text.lower()) if word not in SLOTS)
        letters = sorted({letter for word in words for letter in word})
        frequent = [word for word, _ in sorted(words.items(), key=lambda item: (-item[1], item[0]))]
        every = dict.fromkeys([*SPECIAL, *letters, *(LETTER + letter for letter in letters), *frequent])
        return cls([*every][:size])

    def encode(self, sentence: str) -> list[int]:
        """The ids of a sentence, ``EOS`` at the end."""
        return [id_ for word in _PIECE.findall(sentence.lower()) for id_ in self._spell(word)] + [EOS]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, its first letter in upper case."""
        text = " ".join(self.tokens[id_] for id_ in ids if id_ > UNK).replace(f" {LETTER}", "")
        text = _NO_SPACE.sub("", text)
        return text[:1].upper() + text[1:]

    def to_json(self) -> str:
        """The tokens."""
        return json.dumps(self.tokens, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Words":
        """The inverse of ``to_json``."""
        tokens = json.loads(text)
        if tuple(tokens[: len(SPECIAL)]) != SPECIAL:
            raise ValueError("the special tokens don't come first")
        return cls(tokens)

    def _spell(self, word: str) -> list[int]:
        if word in self._ids and word not in SPECIAL[:4]:
            return [self._ids[word]]
        return [self._ids.get(LETTER * (place > 0) + letter, UNK) for place, letter in enumerate(word)]
