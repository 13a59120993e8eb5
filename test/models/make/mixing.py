"""Writes small modules whose long convolutions mix channels, and their traps, and adds them to stream.json.

    python mixing.py FOLDER [NAME ...]
"""
import json, sys
from pathlib import Path
import torch
from torch import nn
from torch.nn import functional as F
from export import export

out, wanted = Path(sys.argv[1]), sys.argv[2:]
torch.set_num_threads(1)
listing = out / "stream.json"
rows = {row["name"]: row for row in json.loads(listing.read_text())}


def by_fft(x, k, product, points, sum_of=None):
    """The product of spectra, transformed back; summed over an axis before that."""
    y = product(torch.fft.rfft(x, n=points), torch.fft.rfft(k, n=points))
    return torch.fft.irfft(y if sum_of is None else y.sum(sum_of), n=points)


class Ssm(nn.Module):
    """Σ_n C_n k_n B_n, k_n of poles of its own: `inputs` channels, `states` kernels between, `outputs` channels."""

    def __init__(self, inputs, states, outputs, how):
        super().__init__()
        self.how = how
        self.decay = nn.Parameter(torch.linspace(0.08, 0.6, states))
        self.angle = nn.Parameter(torch.linspace(0.1, 2.5, states))
        self.b, self.c = nn.Parameter(torch.randn(states, inputs)), nn.Parameter(torch.randn(outputs, states))
        self.d = nn.Parameter(torch.randn(outputs))

    def kernels(self, n):
        k = torch.arange(n, dtype=torch.float32)
        return torch.exp(-self.decay[:, None] * k) * torch.cos(self.angle[:, None] * k)

    def forward(self, signal):
        n, x, k = signal.shape[1], signal.transpose(1, 2), self.kernels(signal.shape[1])
        if self.how == "sum":
            y = by_fft(x[:, None], torch.einsum("dn,nl,nc->dcl", self.c, k, self.b)[None], lambda x, k: x * k, 2 * n, sum_of=2)
        else: y = by_fft(x, k, self.mixed, 2 * n)
        return torch.tanh(y[..., :n] + self.d[:, None]).transpose(1, 2)

    def mixed(self, x, k):
        if self.how == "states": return self.c.to(x.dtype) @ (k * (self.b.to(x.dtype) @ x))
        # real and imaginary parts apart, as an exporter without complex numbers has it
        mix = lambda part, kernel: torch.einsum("bcl,nl,nc,dn->bdl", part, kernel, self.b, self.c)
        return torch.complex(mix(x.real, k.real) - mix(x.imag, k.imag), mix(x.real, k.imag) + mix(x.imag, k.real))


class S5(Ssm):
    """S5 as a convolution: complex B and C, C Λ^k B for every pair of channels."""

    def __init__(self, inputs, states, outputs):
        super().__init__(inputs, states, outputs, "s5")
        self.b2, self.c2 = nn.Parameter(torch.randn(states, inputs)), nn.Parameter(torch.randn(outputs, states))

    def forward(self, signal):
        n = signal.shape[1]
        k = torch.arange(n, dtype=torch.float32)
        size, turn = torch.exp(-self.decay[:, None] * k), self.angle[:, None] * k
        # Re(C B λ^k) for each pair
        re = torch.einsum("dn,nc->dnc", self.c, self.b) - torch.einsum("dn,nc->dnc", self.c2, self.b2)
        im = torch.einsum("dn,nc->dnc", self.c, self.b2) + torch.einsum("dn,nc->dnc", self.c2, self.b)
        kernel = torch.einsum("dnc,nl->dcl", re, size * turn.cos()) - torch.einsum("dnc,nl->dcl", im, size * turn.sin())
        y = by_fft(signal.transpose(1, 2)[:, None], kernel[None], lambda x, k: x * k, 2 * n, sum_of=2)
        return torch.tanh(y[..., :n]).transpose(1, 2)


class LongConv(nn.Module):
    """Conv1d of many taps of all channels, which die away as an SSM's do; `taps` of its kernels are kept."""

    def __init__(self, inputs, states, outputs, taps):
        super().__init__()
        ssm = Ssm(inputs, states, outputs, "conv")
        with torch.no_grad():
            ssm.decay.mul_(3)
            kernel = torch.einsum("dn,nl,nc->dcl", ssm.c, ssm.kernels(taps), ssm.b)
        self.weight, self.bias, self.taps = nn.Parameter(kernel.flip(-1).contiguous()), nn.Parameter(torch.randn(outputs)), taps

    def forward(self, signal):
        y = F.conv1d(F.pad(signal.transpose(1, 2), (self.taps - 1, 0)), self.weight, self.bias)
        return torch.tanh(y).transpose(1, 2)


class Trap(Ssm):
    """Not what it seems, in one way."""

    def __init__(self, trap):
        super().__init__(3, 4, 2, "sum")
        self.trap = trap

    def forward(self, signal):
        n, x = signal.shape[1], signal.transpose(1, 2)
        k = torch.einsum("dn,nl,nc->dcl", self.c, self.kernels(n), self.b)[None]
        if self.trap == "length": k = k / n ** 0.5
        if self.trap == "data": k = k * (1 + signal[:, :1, :1, None])
        points = n if self.trap == "circular" else 2 * n
        y = by_fft(x[:, None], k, lambda x, k: x * k, points, sum_of=2)
        # one of the channels that leave sees the position behind
        if self.trap == "ahead": y = torch.cat([y[:, :1, :n], y[:, 1:, 1 : n + 1]], 1)
        return torch.tanh(y[..., :n]).transpose(1, 2)


def add(name, build, inputs, outputs, note, refused=False, **kw):
    if wanted and name not in wanted: return
    torch.manual_seed(sum(name.encode()))
    module = build()
    export(module, torch.randn(2, 48, inputs), out / name, traces=False, **kw)
    port = lambda size: {"dims": ["batch_size", "sequence_length", size], "axis": 1}
    row = dict(name=name, kind="linear across channels, long", note=note, expected="refuse" if refused else "convert",
               inputs={"signal": port(inputs)}, outputs={"features": port(outputs)}, tolerance=0.0001)
    rows[name] = dict(row, refused=True) if refused else row
    print(name, (out / name / "model.onnx").stat().st_size, flush=True)


add("mixing-einsum", lambda: Ssm(6, 3, 5, "einsum"), 6, 5, "bcl,nl,nc,dn->bdl of spectra")
add("mixing-states", lambda: Ssm(3, 2, 2, "states"), 3, 2, "spectra by matrices before and behind the kernels")
add("mixing-sum", lambda: Ssm(4, 5, 3, "sum"), 4, 3, "spectra of all pairs of channels, multiplied and summed")
add("mixing-s5", lambda: S5(5, 3, 5), 5, 5, "S5 as a convolution: complex B and C")
add("mixing-conv-80", lambda: LongConv(6, 3, 4, 80), 6, 4, "Conv1d(6, 4, 80) whose taps die away: a recurrence is smaller than its window")
add("mixing-length", lambda: Trap("length"), 3, 2, "the kernels are divided by the root of the length", refused=True)
add("mixing-data", lambda: Trap("data"), 3, 2, "the kernels depend on the first position", refused=True)
add("mixing-ahead", lambda: Trap("ahead"), 3, 2, "one of the channels that leave sees the next position", refused=True)
add("mixing-circular", lambda: Trap("circular"), 3, 2, "as many points as positions: the end comes round to the beginning", refused=True)
listing.write_text(json.dumps(list(rows.values()), indent=1, ensure_ascii=False) + "\n")
