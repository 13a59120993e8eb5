"""Writes attentions without a softmax, linear in keys and values, and their traps, and adds them to stream.json.

    python linear_attention.py FOLDER [NAME ...]
"""
import json, sys
from pathlib import Path
import torch
from torch import nn
from export import export

out, wanted = Path(sys.argv[1]), sys.argv[2:]
torch.set_num_threads(1)
listing = out / "stream.json"
rows = {row["name"]: row for row in json.loads(listing.read_text())}
width, heads = 8, 2


def distance(n): return (torch.arange(n)[:, None] - torch.arange(n)[None]).float()


class Linear(nn.Module):
    """(Q Kᵀ ∘ D) V for each head. `normalise`: divided by the largest of 1 and |Σ_j D_ij q_i k_j|, as RetNet's."""

    def __init__(self, mask, normalise=False, heads=heads):
        super().__init__()
        self.mask, self.normalise, self.heads = mask, normalise, heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        # as slow as RetNet's slowest head, and a fast one
        self.rate = nn.Parameter(torch.tensor([2.0 ** -9, 0.3])[:heads])
        self.second = nn.Parameter(torch.tensor([0.05, 0.02])[:heads])

    def matrix(self, x):
        n = x.shape[1]
        d = distance(n)
        causal = (d >= 0).float()
        decay = torch.exp(-self.rate[:, None, None] * d.clamp(min=0)) * causal
        if self.mask == "decay": return decay
        if self.mask == "power": return torch.where(d >= 0, (1 - self.rate[:, None, None]) ** d.clamp(min=0), torch.zeros(()))
        if self.mask == "none": return torch.tril(torch.ones(n, n))
        if self.mask == "two": return decay + 0.5 * torch.exp(-self.second[:, None, None] * d.clamp(min=0)) * causal
        if self.mask == "head-ahead": return torch.stack([decay[0], torch.exp(-self.rate[1] * d.abs()) * (d >= -1)])
        if self.mask == "one-ahead": return decay + ((d == -1) & (torch.arange(n) == 30))
        if self.mask == "late": return decay * torch.where((torch.arange(n)[:, None] > 100) & (d > 90), 0.5, 1.0)
        if self.mask == "data": return torch.exp(-self.rate[:, None, None] * d.clamp(min=0) * (1 + x[:, :1, :1, None] ** 2)) * causal
        if self.mask == "length": return decay / n ** 0.5

    def forward(self, signal):
        b, n, _ = signal.shape
        q, k, v = (t.view(b, n, self.heads, width // self.heads).transpose(1, 2) for t in self.qkv(signal).chunk(3, -1))
        w = (q @ k.transpose(-1, -2)) * self.matrix(signal)
        y = w @ v
        if self.normalise: y = y / w.sum(-1, keepdim=True).abs().clamp(min=1)
        return self.out(y.transpose(1, 2).reshape(b, n, width))


def add(name, build, note, refused=False):
    if wanted and name not in wanted: return
    torch.manual_seed(sum(name.encode()))
    export(build(), torch.randn(2, 48, width), out / name, traces=False)
    port = {"dims": ["batch_size", "sequence_length", width], "axis": 1}
    row = dict(name=name, kind="linear attention", note=note, expected="refuse" if refused else "convert",
               inputs={"signal": port}, outputs={"features": port}, tolerance=0.0001)
    rows[name] = dict(row, refused=True) if refused else row
    print(name, (out / name / "model.onnx").stat().st_size, flush=True)


add("linear-decay", lambda: Linear("decay"), "scores times exp(-rate (i - j)), one rate a head")
add("linear-power", lambda: Linear("power", normalise=True), "powers, divided by their sums where those are larger than 1")
add("linear-undecayed", lambda: Linear("none", heads=1), "a lower triangle of ones, one head")
add("linear-two-rates", lambda: Linear("two"), "a sum of two decays: rows of keys and values are carried")
add("linear-late", lambda: Linear("late"), "a decay that is another one far behind: rows are carried")
add("linear-head-ahead", lambda: Linear("head-ahead"), "one head sees the next position", refused=True)
add("linear-one-ahead", lambda: Linear("one-ahead"), "one key is seen a position too early", refused=True)
add("linear-length", lambda: Linear("length"), "divided by the root of the length", refused=True)
add("linear-data", lambda: Linear("data"), "a decay made of the first position", refused=True)
listing.write_text(json.dumps(list(rows.values()), indent=1, ensure_ascii=False) + "\n")
