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


class Triangle(nn.Module):
    """A Toeplitz matrix, filled at the indices of a triangle."""

    def __init__(self):
        super().__init__()
        self.rate = nn.Parameter(torch.linspace(0.1, 0.5, 4))

    def forward(self, x):
        n = x.shape[1]
        i, j = torch.tril_indices(n, n)
        matrix = torch.zeros(n, n, 4)
        matrix[i, j] = torch.exp(-self.rate * (i - j)[:, None])
        return torch.einsum("ijd,bjd->bid", matrix, x)


def triangle():
    return Triangle()


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
