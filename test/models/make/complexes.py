"""Small modules with complex numbers, and with sizes that an exporter fixes in silence, in the style of published code.

    python complexes.py FOLDER [NAME ...]

Each is exported unchanged by scripts/export/longconv_export.py, with PyTorch's outputs beside it, and listed in complexes.json.
opt_einsum and scipy are needed: two of the modules are about them.
"""
import json
import math
import sys
from pathlib import Path

import onnx
import opt_einsum
import scipy.fft
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts" / "export"))
from longconv_export import export  # noqa: E402

WIDTH, ORDER = 4, 3


class Mixer(nn.Module):
    """y = out(k * u), k from `kernel(n)` [channels, n]; channels before time inside, as most published code has it."""

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(WIDTH, WIDTH)
        self.rate = nn.Parameter(torch.linspace(0.05, 0.4, WIDTH)[:, None])
        self.frequency = nn.Parameter(torch.linspace(0.1, 1.0, WIDTH)[:, None])

    def kernel(self, n):
        lag = torch.arange(n)
        return torch.exp(-self.rate * lag) * torch.cos(self.frequency * lag)

    def convolve(self, u, n):
        return torch.fft.irfft(torch.fft.rfft(u, 2 * n) * torch.fft.rfft(self.kernel(n), 2 * n), 2 * n)[..., :n]

    def forward(self, x):
        u = x.transpose(1, 2)
        return self.out(self.convolve(u, u.shape[-1]).transpose(1, 2))


class SpectrumShaped(Mixer):
    """A spectrum is squeezed, unsqueezed, indexed, sliced, stacked."""

    def convolve(self, u, n):
        k = torch.fft.rfft(self.kernel(n)[None], 2 * n).squeeze().unsqueeze(0)
        halves = torch.cat([k[:, :2], k[:, 2:]], dim=1)
        k = torch.stack([halves[0], halves[0]])[1][None]
        return torch.fft.irfft(torch.fft.rfft(u, 2 * n) * k, 2 * n)[..., :n]


class SpectraEinsum(Mixer):
    """Two kernels for each channel, by an einsum of spectra."""

    def convolve(self, u, n):
        k = torch.stack([self.kernel(n), self.kernel(n).flip(0)])
        y = torch.einsum("bhl,chl->bchl", torch.fft.rfft(u, n=2 * n), torch.fft.rfft(k, n=2 * n))
        return torch.fft.irfft(y, n=2 * n)[..., :n].sum(1)


class ImaginaryUnit(Mixer):
    """A diagonal state's kernel: 1j, a complex exponential, a sum over the state."""

    def __init__(self):
        super().__init__()
        self.log_real = nn.Parameter(torch.log(torch.linspace(0.05, 0.5, ORDER)).expand(WIDTH, ORDER).clone())
        self.imaginary = nn.Parameter(math.pi * torch.arange(ORDER).expand(WIDTH, ORDER) / 4)
        self.weight = nn.Parameter(torch.view_as_real(torch.randn(WIDTH, ORDER, dtype=torch.cfloat)))

    def kernel(self, n):
        a = -torch.exp(self.log_real) + 1j * self.imaginary
        c = torch.view_as_complex(self.weight) * (torch.exp(a) - 1.0) / a
        powers = torch.exp(a.unsqueeze(-1) * torch.arange(n))
        return 2 * torch.einsum("hn,hnl->hl", c, powers).real


class ComplexLog(Mixer):
    """Poles as pairs of numbers, and their logarithm times the lag."""

    def __init__(self):
        super().__init__()
        poles = torch.polar(torch.linspace(0.6, 0.9, WIDTH * ORDER), torch.linspace(0.1, 3.0, WIDTH * ORDER))
        self.poles = nn.Parameter(torch.view_as_real(poles).reshape(WIDTH, ORDER, 1, 2))
        self.residues = nn.Parameter(torch.randn(WIDTH, ORDER, 1, 2))

    def kernel(self, n):
        residues, logs = torch.view_as_complex(self.residues), torch.view_as_complex(self.poles).log()
        return (residues * (logs * torch.arange(n)[None, None]).exp()).real.sum(1)


class ComplexParameters(Mixer):
    """Complex parameters, a power with the lag as exponent, conj, abs and angle, polar."""

    def __init__(self):
        super().__init__()
        self.poles = nn.Parameter(torch.polar(torch.linspace(0.5, 0.9, WIDTH), torch.linspace(0.2, 2.0, WIDTH)))
        self.weight = nn.Parameter(torch.randn(WIDTH, dtype=torch.cfloat))

    def kernel(self, n):
        poles = torch.polar(self.poles.abs(), self.poles.angle())
        powers = poles[:, None] ** torch.arange(n)
        both = self.weight[:, None] * powers + (self.weight[:, None] * powers).conj()
        return torch.view_as_real(both)[..., 0] + (both * 1j).imag


class Norms(Mixer):
    """Transforms of two sides, an odd length, each norm, on another axis than the last."""

    def forward(self, x):
        n = x.shape[1]
        size, k = 2 * n + 1, self.kernel(n).T
        spectrum = torch.fft.fft(x, size, dim=1, norm="ortho") * torch.fft.fft(k, size, dim=0, norm="backward")
        y = torch.fft.ifft(spectrum, dim=1, norm="ortho")[:, :n].real
        half = torch.fft.rfft(x, size, dim=1, norm="forward") * torch.fft.rfft(k, size, dim=0)
        return self.out(y + torch.fft.irfft(half, size, dim=1, norm="backward")[:, :n] * size)


class Rational(Mixer):
    """The kernel's generating function at roots of unity, in the manner of S4: division, reciprocal, a square root."""

    def kernel(self, n):
        nodes = torch.exp(-2j * math.pi * torch.arange(65) / 128)
        pole = torch.exp(-self.rate + 1j * self.frequency)
        series = 1 / (1 - pole * nodes) + (1 - pole.conj() * nodes).reciprocal()
        series = series * torch.sqrt(pole * pole.conj()) / pole.abs()
        return F.pad(torch.fft.irfft(series, 128), (0, n))[..., :n]


class KernelCached(Mixer):
    """The kernel is kept on the module, and made anew where the input is longer."""

    cached = None

    def convolve(self, u, n):
        if self.cached is None or self.cached.shape[-1] < n:
            self.cached = self.kernel(n)
        k = self.cached[..., :n]
        return torch.fft.irfft(torch.fft.rfft(u, 2 * n) * torch.fft.rfft(k, 2 * n), 2 * n)[..., :n]


class FastLength(Mixer):
    """The transform's length is one for which transforms are fast."""

    def convolve(self, u, n):
        size = scipy.fft.next_fast_len(2 * n - 1)
        return torch.fft.irfft(torch.fft.rfft(u, size) * torch.fft.rfft(self.kernel(n), size), size)[..., :n]


class Contracted(Mixer):
    """opt_einsum looks at sizes to find the order of its products."""

    def convolve(self, u, n):
        spectra = torch.fft.rfft(u, 2 * n), torch.fft.rfft(self.kernel(n)[None], 2 * n)
        y = torch.fft.irfft(opt_einsum.contract("bhl,chl->bchl", *spectra), 2 * n)[..., :n]
        return opt_einsum.contract("bchl,ch,h->bhl", y, torch.ones(1, WIDTH), self.rate[:, 0])


class KernelLonger(Mixer):
    """A kernel of 24 lags is cut where the input is shorter, and padded where it is longer."""

    def kernel(self, n):
        k = super().kernel(24)
        if k.size(-1) > n:
            k = k[..., :n]
        elif k.size(-1) < n:
            k = F.pad(k, (0, n - k.size(-1)))
        return k


class Triangle(Mixer):
    """Toeplitz matrices, filled at the indices of a lower triangle and, transposed, of a strictly upper one."""

    def convolve(self, u, n):
        i, j = torch.tril_indices(n, n)
        matrix = torch.zeros(WIDTH, n, n)
        matrix[:, i, j] = self.kernel(n)[:, i - j]
        i, j = torch.triu_indices(n, n, 1)
        later = torch.zeros(WIDTH, n, n)
        later[:, i, j] = self.kernel(n)[:, j - i]
        return torch.einsum("hij,bhj->bhi", matrix, u) - torch.einsum("hji,bhj->bhi", later, u) / 2


class Blocks(Mixer):
    """The kernel's spectrum under torch.no_grad, the rest under autocast that is switched off, and on for another device."""

    def convolve(self, u, n):
        with torch.no_grad():
            k = torch.fft.rfft(self.kernel(n), 2 * n).unsqueeze(0) * (1j * torch.ones(1)) / 1j
        with torch.autocast("cpu", enabled=False):
            y = torch.fft.irfft(torch.fft.rfft(u.float(), 2 * n) * k, 2 * n)[..., :n]
        with torch.autocast("cuda"):
            k = torch.fft.rfft(self.kernel(n), 2 * n).unsqueeze(0)
            return y + torch.fft.irfft(torch.fft.rfft(u, 2 * n) * k, 2 * n)[..., :n]


class InPlace(Mixer):
    """Spectra and kernels that are written into: slices, an index, a mask, a scatter, a padding, a copy."""

    def kernel(self, n):
        rates = torch.empty(WIDTH, ORDER, dtype=torch.cfloat)
        rates.real = -self.rate
        rates.imag = self.frequency * torch.arange(1, ORDER + 1)
        rates[:, 0] = -0.2
        rates[0, 1:] *= 0.5 + 0.1j
        k = torch.exp(rates[..., None] * torch.arange(n))
        weight = torch.zeros(WIDTH, ORDER, dtype=torch.cfloat)
        weight[torch.tensor([0, 2]), torch.tensor([1, 0])] = 1 - 0.5j
        weight.scatter_(1, torch.tensor([[2], [2], [1], [0]]), 0.25j)
        weight.index_fill_(0, torch.tensor([3]), 0.5)
        weight = weight.masked_fill(weight.abs() > 0.9, 0.7 + 0.2j)
        kept = torch.ones_like(weight)
        kept.copy_(weight)
        return torch.einsum("hc,hcl->hl", kept, k).real

    def convolve(self, u, n):
        half, spectrum = torch.fft.rfft(self.kernel(n), 2 * n), torch.zeros(WIDTH, n + 1, dtype=torch.cfloat)
        spectrum[:2] = half[:2]
        spectrum[2:, 1:-1] = half[2:, 1:-1]
        spectrum[2:, ::n] = half[2:, ::n]
        spectrum[-1] *= 2
        padded = F.pad(spectrum, (0, 0, 1, 0), value=1.0)
        return torch.fft.irfft(torch.fft.rfft(u, 2 * n) * padded[1:] * padded[:1], 2 * n)[..., :n]


class Prepared(Mixer):
    """The first run measures the kernel, and a buffer says whether it was measured."""

    def __init__(self):
        super().__init__()
        self.register_buffer("norm", torch.ones(WIDTH, 1))
        self.register_buffer("measured", torch.tensor(False))

    def convolve(self, u, n):
        if not self.measured:
            self.norm = self.kernel(32).norm(dim=-1, keepdim=True).detach()
            self.measured = torch.tensor(True)
        k = self.kernel(n) / self.norm
        return torch.fft.irfft(torch.fft.rfft(u, 2 * n) * torch.fft.rfft(k, 2 * n), 2 * n)[..., :n]


class ChannelsFirst(Mixer):
    """[batch, channels, time], and a mask [batch, 1, time]."""

    def forward(self, x, mask):
        return self.convolve(x * mask, x.shape[-1]) * mask


MODULES = {
    "spectrum-shaped": SpectrumShaped, "spectra-einsum": SpectraEinsum, "imaginary-unit": ImaginaryUnit, "complex-log": ComplexLog,
    "complex-parameters": ComplexParameters, "norms": Norms, "rational": Rational, "kernel-cached": KernelCached,
    "fast-length": FastLength, "contracted": Contracted, "kernel-longer": KernelLonger, "prepared": Prepared,
    "channels-first": ChannelsFirst, "triangle": Triangle, "blocks": Blocks, "in-place": InPlace,
}


def example(name, batch, n):
    if name == "channels-first":
        return torch.randn(batch, WIDTH, n), torch.ones(batch, 1, n)
    return (torch.randn(batch, n, WIDTH),)


def write(name, folder):
    torch.manual_seed(sum(name.encode()))
    module = MODULES[name]().eval()
    folder.mkdir(parents=True, exist_ok=True)
    axis = 2 if name == "channels-first" else 1
    notes = export(module, example(name, 2, 16), folder / "model.onnx", time_axis=axis)
    for number, (batch, n) in enumerate(((1, 37), (2, 12))):
        inputs = example(name, batch, n)
        with torch.no_grad():
            output = module(*inputs)
        data = folder / f"test_data_set_{number}"
        data.mkdir(exist_ok=True)
        for kind, tensors in (("input", inputs), ("output", (output,))):
            names = [each.name for each in getattr(onnx.load(folder / "model.onnx").graph, kind)]
            for i, (tensor, called) in enumerate(zip(tensors, names)):
                (data / f"{kind}_{i}.pb").write_bytes(numpy_helper.from_array(tensor.numpy(), called).SerializeToString())
    model = onnx.load(folder / "model.onnx")
    # where nodes stand in the exporter's machine is of no use to anybody
    for node in model.graph.node:
        del node.metadata_props[:]
    onnx.save(model, folder / "model.onnx")
    named = [*model.graph.input, *model.graph.output]
    row = {"name": name, "note": MODULES[name].__doc__.strip().split("\n")[0], "opset": 18, "length": "any", "torch": torch.__version__}
    return dict(row, axes={each.name: axis for each in named}) if axis != 1 else row, notes


def main():
    out, wanted = Path(sys.argv[1]), sys.argv[2:]
    listing = out / "complexes.json"
    rows = {row["name"]: row for row in json.loads(listing.read_text())} if listing.exists() else {}
    for name in wanted or MODULES:
        rows[name], notes = write(name, out / name)
        print(name, *notes, flush=True)
        listing.write_text(json.dumps(list(rows.values()), indent=1) + "\n")


if __name__ == "__main__":
    main()
