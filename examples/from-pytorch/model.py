"""A small language model of long convolutions: trained on a text, exported, with its tokenizer.

    python model.py TEXT.txt FOLDER [STEPS]
"""
import json
import sys
from pathlib import Path

import torch
from longconv_export import export
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from torch.nn import functional as F

VOCABULARY, WIDTH, LENGTH = 512, 64, 128


class LongConvolution(nn.Module):
    """y_i = sum over j <= i of t_{i-j} x_j, gated; the kernel t, one for each channel, is a small network of the lag."""

    def __init__(self, width):
        super().__init__()
        self.into, self.gate, self.out = (nn.Linear(width, width) for _ in range(3))
        self.kernel = nn.Sequential(nn.Linear(1, 32), nn.SiLU(), nn.Linear(32, width))
        self.register_buffer("decay", torch.linspace(0.5, 0.97, width))

    def forward(self, x):
        n = x.shape[1]  # taken from the input, so that the export has any length
        lag = torch.arange(n, dtype=torch.float32, device=x.device).reshape(-1, 1)
        t = self.kernel(lag / LENGTH) * self.decay**lag
        v = F.silu(self.into(x))
        y = torch.fft.irfft(torch.fft.rfft(v, 2 * n, dim=1) * torch.fft.rfft(t.unsqueeze(0), 2 * n, dim=1), 2 * n, dim=1)
        return self.out(F.silu(self.gate(x)) * y[:, :n])


class Model(nn.Module):
    def __init__(self, layers=2):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(layers))
        self.mixers = nn.ModuleList(LongConvolution(WIDTH) for _ in range(layers))
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, ids):
        x = self.embedding(ids)
        for norm, mixer in zip(self.norms, self.mixers):
            x = x + mixer(norm(x))
        return self.head(x)


def tokenizer_of(text):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>"]
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def train(model, ids, steps):
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(1, steps + 1):
        starts = torch.randint(0, len(ids) - LENGTH - 1, (16,))
        batch = torch.stack([ids[i : i + LENGTH + 1] for i in starts])
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.2f}")


if __name__ == "__main__":
    torch.manual_seed(0)
    text, folder = Path(sys.argv[1]).read_text(), Path(sys.argv[2])
    tokenizer = tokenizer_of(text)
    model = Model()
    train(model, torch.tensor(tokenizer.encode(text).ids), int(sys.argv[3]) if len(sys.argv) > 3 else 400)
    folder.mkdir(exist_ok=True)
    export(model, torch.randint(0, VOCABULARY, (2, 64)), str(folder / "model.onnx"))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "training.json").write_text(json.dumps({"length": LENGTH}))
