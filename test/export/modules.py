"""Modules that the export helper is tested on: each is what a user's own code looks like."""
import sys
from pathlib import Path

import torch
from torch import nn

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "models" / "make"), str(HERE.parents[1] / "scripts" / "export")]
from longconv_export import long_conv  # noqa: E402
from tnn import Gtu, Tnn  # noqa: E402


def small(kind=Gtu):
    torch.manual_seed(0)
    model = Tnn(61, 16, 24, 24, 2, rpe_width=16)
    for mixer in model.mixers:
        mixer.__class__ = kind
    return model


def plain():
    return small()


class WithLongConv(Gtu):
    def convolve(self, v):
        return long_conv(v, self.kernel(v.shape[1]))


def by_long_conv():
    return small(WithLongConv)


class ComplexUnsqueeze(Gtu):
    """As published TNN code spells it."""

    def convolve(self, v):
        n = v.shape[1]
        kernel = torch.fft.rfft(self.kernel(n), 2 * n, dim=0).unsqueeze(0)
        return torch.fft.irfft(torch.fft.rfft(v, 2 * n, dim=1) * kernel, 2 * n, dim=1)[:, :n]


def complex_unsqueeze():
    return small(ComplexUnsqueeze)


class Frozen(Gtu):
    """The kernel was made once, for one length."""

    def convolve(self, v):
        n = v.shape[1]
        kernel = self.kernel(64)
        return torch.fft.irfft(torch.fft.rfft(v, 128, dim=1) * torch.fft.rfft(kernel[None], 128, dim=1), 128, dim=1)[:, :n]


def frozen():
    return small(Frozen)


class StoredLength(nn.Module):
    """A length kept as a Python number."""

    def __init__(self):
        super().__init__()
        self.model = small()

    def forward(self, input_ids):
        return self.model(input_ids.reshape(2, 64))


def stored_length():
    return StoredLength()


class Band(nn.Module):
    """A Toeplitz matrix, filled at the indices of a triangle and of the diagonal above it, or of `above` = 0, of a triangle."""

    def __init__(self, above):
        super().__init__()
        self.above, self.rate = above, nn.Parameter(torch.linspace(0.1, 0.5, 4))

    def forward(self, x):
        n = x.shape[1]
        i, j = torch.tril_indices(n, n, self.above)
        matrix = torch.zeros(n, n, 4)
        matrix[i, j] = torch.exp(-self.rate * (i - j)[:, None])
        return torch.einsum("ijd,bjd->bid", matrix, x)


def triangle():
    return Band(0)


def band():
    return Band(1)


class Masked(nn.Module):
    """y = k * (x mask), and how many positions the mask leaves; batch x channels x time, or batch x time x channels."""

    def __init__(self, axis):
        super().__init__()
        self.axis, self.rate = axis, nn.Parameter(torch.linspace(0.1, 0.5, 4))

    def forward(self, x, mask):
        if self.axis == 1:
            x, mask = x.transpose(1, 2), mask[:, None]
        n = x.shape[2]
        kernel = torch.exp(-self.rate[:, None] * torch.arange(n))
        y = torch.fft.irfft(torch.fft.rfft(x * mask, 2 * n) * torch.fft.rfft(kernel, 2 * n), 2 * n)[..., :n]
        return y.transpose(1, 2) if self.axis == 1 else y


def masked():
    return Masked(1)


def channels_first():
    return Masked(2)


class Switched(nn.Module):
    """Another kernel for inputs that are longer than 40."""

    def forward(self, x):
        n = x.shape[1]
        kernel = torch.exp(-0.2 * torch.arange(n)) if n <= 40 else torch.exp(-0.1 * torch.arange(n))
        return torch.fft.irfft(torch.fft.rfft(x, 2 * n, dim=1) * torch.fft.rfft(kernel, 2 * n)[:, None], 2 * n, dim=1)[:, :n]


def switched():
    return Switched()


class Table(nn.Module):
    """A kernel of 40 taps, cut to the input's length: for longer inputs the cut cuts nothing, and what follows pads with zeros."""

    def __init__(self, prepared=lambda kernel: kernel):
        super().__init__()
        self.taps, self.prepared = nn.Parameter(torch.randn(40, 4, generator=torch.Generator().manual_seed(0)) / 10), prepared

    def forward(self, x):
        n = x.shape[1]
        kernel = self.prepared(self.taps[:n])
        return torch.fft.irfft(torch.fft.rfft(x, 2 * n, dim=1) * torch.fft.rfft(kernel, 2 * n, dim=0), 2 * n, dim=1)[:, :n]


def table():
    return Table()


def table_centred():
    """The mean of what was cut is another one where zeros count."""
    return Table(lambda kernel: kernel - kernel.mean(0))


def table_reversed():
    """Zeros behind the table are before it, when it is turned around."""
    return Table(lambda kernel: kernel.flip(0))


class Noisy(nn.Module):
    """Draws numbers anew in each run, so no file gives what the module gave; real ones and whole ones."""

    def forward(self, x):
        return x + torch.rand_like(x), torch.randint(0, 1000, x.shape[:2])


def noisy():
    return Noisy()


class Eigenvalues(nn.Module):
    """The poles are the eigenvalues of a matrix, found anew in every forward."""

    def __init__(self):
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(4, 4) / 4)

    def forward(self, x):
        n = x.shape[1]
        poles = torch.linalg.eig(self.matrix)[0]
        kernel = (poles[None] ** torch.arange(n)[:, None]).real
        return torch.fft.irfft(torch.fft.rfft(x, 2 * n, dim=1) * torch.fft.rfft(kernel, 2 * n, dim=0), 2 * n, dim=1)[:, :n]


def eigenvalues():
    return Eigenvalues()
