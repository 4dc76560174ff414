"""EncoderRNN, BahdanauAttention and AttnDecoderRNN, and the class that puts them together for Dragoman."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


class EncoderRNN(nn.Module):
    def __init__(self, input_size, hidden_size, dropout_p=0.1):
        super().__init__()
        self.embedding = nn.Embedding(input_size, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout_p)

    def forward(self, input):
        return self.gru(self.dropout(self.embedding(input)))


class BahdanauAttention(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.Wa = nn.Linear(hidden_size, hidden_size)
        self.Ua = nn.Linear(hidden_size, hidden_size)
        self.Va = nn.Linear(hidden_size, 1)

    def forward(self, query, keys):
        scores = self.Va(torch.tanh(self.Wa(query) + self.Ua(keys))).squeeze(2).unsqueeze(1)
        return torch.bmm(F.softmax(scores, dim=-1), keys)


class AttnDecoderRNN(nn.Module):
    def __init__(self, hidden_size, output_size, dropout_p=0.1):
        super().__init__()
        self.embedding = nn.Embedding(output_size, hidden_size)
        self.attention = BahdanauAttention(hidden_size)
        self.gru = nn.GRU(2 * hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, output_size)
        self.dropout = nn.Dropout(dropout_p)

    def forward_step(self, input, hidden, encoder_outputs):
        embedded = self.dropout(self.embedding(input))
        context = self.attention(hidden.permute(1, 0, 2), encoder_outputs)
        output, hidden = self.gru(torch.cat((embedded, context), dim=2), hidden)
        return self.out(output), hidden


# What Dragoman asks for beside that.


@dataclass(frozen=True)
class Config:
    source_vocabulary: int
    target_vocabulary: int
    hidden_size: int = 128


class Translator(nn.Module):
    """The `model.contract.Network`: the notebook's two modules under the names that they have there."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.encoder = EncoderRNN(config.source_vocabulary, config.hidden_size)
        self.decoder = AttnDecoderRNN(config.hidden_size, config.target_vocabulary)

    def encode(self, source):
        outputs, hidden = self.encoder(source)
        return outputs, hidden[0]  # a GRU puts the layers first; the state's first dimension is the batch

    def step(self, last, state, memory):
        logits, hidden = self.decoder.forward_step(last[:, None], state[None], memory)
        return logits[:, 0], hidden[0]

    def forward(self, source, target):
        memory, state = self.encode(source)
        logits = []
        for position in range(target.size(1)):
            scores, state = self.step(target[:, position], state, memory)
            logits.append(scores)
        return torch.stack(logits, 1)
