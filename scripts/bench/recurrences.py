"""A decode step of a TNN language model in PyTorch, its convolutions as recurrences: as ETSC's authors wrote it, and as a modal recurrence.

    python scripts/bench/recurrences.py WIDTH CHANNELS LAYERS HIDDEN WORDS THREADS

Answers a line `etsc STATES` or `modal STATES` (real numbers a channel) on standard input with the milliseconds of one step, in turn for as long as there are lines.
"""
import sys, time

import torch
from torch import nn
from torch.nn.functional import silu

width, channels, layers, hidden, words, threads = map(int, sys.argv[1:])
torch.set_num_threads(threads)
torch.manual_seed(0)


class Etsc(nn.Module):
    """h = λ h + x, y = Re Σ c h: as many complex states as the kernel has lags, poles that all channels share (Qin & Zhong 2023, eq. 14)."""

    def __init__(self, states):
        super().__init__()
        turns = torch.arange(states) / states
        self.register_buffer("poles", (0.99 * torch.exp(-2j * torch.pi * turns)).unsqueeze(-1))
        self.register_buffer("residues", torch.randn(states, channels, dtype=torch.complex64) / states)
        self.start = lambda: torch.zeros(states, channels, dtype=torch.complex64)

    def forward(self, x, h):
        h = self.poles * h + x
        return (self.residues * h).sum(0).real, h


class Modal(nn.Module):
    """h = λ h + x, y = Re Σ c h + d x: few complex states with poles of each channel's own (Massaroli et al. 2023, LaughingHyena's decode step)."""

    def __init__(self, states):
        super().__init__()
        pairs = states // 2
        self.register_buffer("poles", torch.polar(torch.rand(channels, pairs), torch.pi * torch.rand(channels, pairs)))
        self.register_buffer("residues", torch.randn(channels, pairs, dtype=torch.complex64) / pairs)
        self.register_buffer("direct", torch.randn(channels))
        self.start = lambda: torch.zeros(channels, pairs, dtype=torch.complex64)

    def forward(self, x, h):
        h = self.poles * h + x.unsqueeze(-1)
        return (self.residues * h).sum(-1).real + self.direct * x, h


class Layer(nn.Module):
    """A gated Toeplitz unit and a gated linear unit, as TNN's, around one recurrence."""

    def __init__(self, recurrence):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.gate, self.value, self.out = nn.Linear(width, channels), nn.Linear(width, channels), nn.Linear(channels, width)
        self.first, self.second, self.last = nn.Linear(width, hidden), nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.recurrence = recurrence

    def forward(self, x, h):
        normed = self.norms[0](x)
        mixed, h = self.recurrence(silu(self.value(normed)), h)
        x = x + self.out(silu(self.gate(normed)) * mixed)
        normed = self.norms[1](x)
        return x + self.last(silu(self.first(normed)) * self.second(normed)), h


def model_of(kind, states):
    table = nn.Embedding(words, width)
    blocks = nn.ModuleList(Layer(kind(states)) for _ in range(layers)).eval()
    held = [block.recurrence.start() for block in blocks]

    def step(token):
        x = table.weight[token]
        for i, block in enumerate(blocks): x, held[i] = block(x, held[i])
        return table.weight @ x

    return step


known = {}
with torch.inference_mode():
    for line in sys.stdin:
        kind, states = line.split()
        if line not in known: known[line] = model_of({"etsc": Etsc, "modal": Modal}[kind], int(states))
        began = time.perf_counter()
        known[line](1)
        print(1000 * (time.perf_counter() - began), flush=True)
