"""Lang: the words of one language, as a notebook leaves it."""

import json
import re
import unicodedata
from collections.abc import Sequence

from model.contract import Unreadable

SOS_token = 0
EOS_token = 1


class Lang:
    """Every word that was seen, by number."""

    pad, bos, eos, unk = EOS_token, SOS_token, EOS_token, None

    def __init__(self, name):
        self.name = name
        self.word2index = {}
        self.word2count = {}
        self.index2word = {0: "SOS", 1: "EOS"}
        self.n_words = 2

    def addSentence(self, sentence):
        for word in sentence.split(" "):
            self.addWord(word)

    def addWord(self, word):
        if word not in self.word2index:
            self.word2index[word] = self.n_words
            self.word2count[word] = 1
            self.index2word[self.n_words] = word
            self.n_words += 1
        else:
            self.word2count[word] += 1

    # What Dragoman asks for beside that.

    def __len__(self):
        return self.n_words

    @classmethod
    def build(cls, language: str, texts: Sequence[str], size: int):
        """All words of the texts; a notebook's corpus is small, so ``size`` isn't looked at."""
        lang = cls(language)
        for text in texts:
            lang.addSentence(normalizeString(text))
        return lang

    def encode(self, sentence: str) -> list[int]:
        words = normalizeString(sentence).split(" ")
        unknown = [word for word in words if word not in self.word2index]
        if unknown:
            raise Unreadable(f"no such words: {', '.join(unknown)}")
        return [self.word2index[word] for word in words] + [EOS_token]

    def decode(self, ids: Sequence[int]) -> str:
        text = " ".join(self.index2word[id_] for id_ in ids if id_ > EOS_token)
        return re.sub(r" (?=[.!?])", "", text)

    def to_json(self) -> str:
        words = [self.index2word[id_] for id_ in range(2, self.n_words)]
        stored = {"name": self.name, "words": words, "counts": [self.word2count[word] for word in words]}
        return json.dumps(stored, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str):
        stored = json.loads(text)
        lang = cls(stored["name"])
        for word, count in zip(stored["words"], stored["counts"], strict=True):
            lang.addWord(word)
            lang.word2count[word] = count
        return lang


def unicodeToAscii(text):
    return "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")


def normalizeString(text):
    text = unicodeToAscii(text.lower().strip())
    text = re.sub(r"([.!?])", r" \1", text)
    return re.sub(r"[^a-z!?]+", r" ", text).strip()
