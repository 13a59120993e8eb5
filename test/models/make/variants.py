"""Further members of the long-convolution families, one class each, written from the papers.

Every mixer maps [batch, n, width] -> [batch, n, width]. Those that no recurrence of fixed size follows say so.
"""
import math
import torch
from torch import nn
from torch.nn import functional as F
from blocks import S4d, fft_conv


class HyenaOrder3(nn.Module):
    """Hyena of order 3 (Poli et al., 2023) as its authors wrote it: three gates, two long convolutions in sequence, the
    filters of both from one SIREN over buffers as long as the training length."""

    def __init__(self, width, order=3, filter_width=16, length=128, bands=2):
        super().__init__()
        self.order, self.width = order, width
        self.inp = nn.Linear(width, (order + 1) * width)
        self.short = nn.Conv1d((order + 1) * width, (order + 1) * width, 3, padding=2, groups=(order + 1) * width)
        t = torch.linspace(0, 1, length)[None, :, None]
        angle = torch.linspace(1e-4, bands - 1, bands) * 2 * math.pi * torch.arange(length)[None, :, None] / length
        self.register_buffer("t", t)
        self.register_buffer("z", torch.cat([t, angle.cos(), -angle.sin()], -1))
        self.first, self.last = nn.Linear(1 + 2 * bands, filter_width), nn.Linear(filter_width, (order - 1) * width, bias=False)
        self.freq = nn.Parameter(10 * torch.ones(1, filter_width))
        self.register_buffer("deltas", torch.linspace(math.log(1e-2) / 1.5, math.log(1e-2) / 0.3, (order - 1) * width).abs()[None, None])
        self.bias = nn.Parameter(torch.randn(order - 1, width))
        self.out = nn.Linear(width, width)

    def filters(self, n):
        """[order - 1, width, n]"""
        h = self.last(torch.sin(self.freq * self.first(self.z[:, :n])))
        h = h * ((-self.t[:, :n] * self.deltas).exp() + 0.01)
        return h[0].reshape(n, self.width, self.order - 1).permute(2, 1, 0)

    def forward(self, u):
        n = u.shape[1]
        x0, *gates, v = self.short(self.inp(u).transpose(1, 2))[..., :n].split(self.width, dim=1)
        for gate, k, bias in zip(reversed(gates), self.filters(n), self.bias):
            v = v * gate
            spectrum = torch.fft.rfft(k, n=2 * n) / (2 * n)
            y = torch.fft.irfft(torch.fft.rfft(v, n=2 * n) * spectrum, n=2 * n, norm="forward")[..., :n]
            v = y + v * bias[:, None]
        return self.out((v * x0).transpose(1, 2))


class H3Heads(nn.Module):
    """H3 (Fu et al., 2023) with heads: the outer product of shift(k) and v, one diagonal kernel a head, contracted with q."""

    def __init__(self, width, heads=2, shift=4):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.shift = nn.Parameter(torch.randn(width, shift) * 0.5)
        self.kernel = S4d(heads, 8)

    def forward(self, x):
        b, n, width = x.shape
        h, d = self.heads, width // self.heads
        q, k, v = (layer(x).transpose(1, 2) for layer in (self.q, self.k, self.v))
        k = fft_conv(k, F.pad(self.shift, (0, n - self.shift.shape[1])), -1)
        kv = k.reshape(b, h, d, 1, n) * v.reshape(b, h, 1, d, n)
        y = fft_conv(kv, self.kernel.kernel(n)[:, None, None], -1) + self.kernel.d[:, None, None, None] * kv
        return self.out((y * q.reshape(b, h, d, 1, n)).sum(2).reshape(b, width, n).transpose(1, 2))


class S4Dplr(nn.Module):
    """S4 (Gu et al., 2022) with diagonal plus low rank A = diag(L) - p p*: the kernel's generating function by Cauchy sums
    and the Woodbury identity at the roots of unity of the training length, complex numbers as pairs of real ones."""

    def __init__(self, width, state=8, length=64):
        super().__init__()
        self.length = length
        self.log_dt = nn.Parameter(torch.rand(width) * 2.0 - 4.0)
        self.re, self.im = nn.Parameter(torch.full((width, state), -0.5)), nn.Parameter(math.pi * torch.arange(state).repeat(width, 1).float())
        self.b, self.c, self.p = (nn.Parameter(torch.randn(width, state, 2) * state ** -0.5) for _ in range(3))
        self.d = nn.Parameter(torch.randn(width))
        self.out = nn.Linear(width, width)

    def kernel(self):
        """[width, length]; generating function of the bilinear discretisation, truncation folded into c."""
        mul = lambda a, b: (a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0])
        inv = lambda a: (a[0] / (a[0] ** 2 + a[1] ** 2), -a[1] / (a[0] ** 2 + a[1] ** 2))
        dt = self.log_dt.exp()[:, None]
        # slightly inside the unit circle, so that 1 + z is never zero
        angle = -2 * math.pi * torch.arange(self.length + 1) / (2 * self.length)
        z = (0.98 * angle.cos(), 0.98 * angle.sin())
        g = mul((1 - z[0], -z[1]), inv((1 + z[0], z[1])))
        g = (2 / dt * g[0], 2 / dt * g[1])
        resolvent = inv((g[0][..., None] - self.re[:, None], g[1][..., None] - self.im[:, None]))
        pair = lambda v: (v[:, None, :, 0], v[:, None, :, 1])
        conj = lambda v: (v[0], -v[1])
        cauchy = lambda v, w: tuple(part.sum(-1) for part in mul(mul(conj(v), w), resolvent))
        b, c, p = pair(self.b), pair(self.c), pair(self.p)
        k00, k01, k10, k11 = cauchy(c, b), cauchy(c, p), cauchy(p, b), cauchy(p, p)
        low_rank = mul(mul(k01, k10), inv((1 + k11[0], k11[1])))
        k = mul((k00[0] - low_rank[0], k00[1] - low_rank[1]), inv((1 + z[0], z[1])))
        spectrum = torch.complex(2 * k[0], 2 * k[1])
        return torch.fft.irfft(spectrum, 2 * self.length)[:, :self.length] * 0.98 ** -torch.arange(self.length)

    def forward(self, x):
        n = x.shape[1]
        u = x.transpose(1, 2)
        y = fft_conv(u, self.kernel()[:, :n], -1) + self.d[:, None] * u
        return self.out(F.gelu(y).transpose(1, 2))


class S4Real(nn.Module):
    """S4D with real poles, its Vandermonde product written as an Einsum: K = sum_s c_s exp(-a_s dt)^k."""

    def __init__(self, width, state=8):
        super().__init__()
        self.log_dt, self.log_a = nn.Parameter(torch.rand(width) * 2.0 - 4.0), nn.Parameter(torch.log(torch.arange(1, state + 1).float()).repeat(width, 1))
        self.c, self.d = nn.Parameter(torch.randn(width, state)), nn.Parameter(torch.randn(width))

    def forward(self, x):
        n = x.shape[1]
        pole = -self.log_a.exp() * self.log_dt.exp()[:, None]
        k = torch.einsum("cs,csn->cn", self.c, (pole[..., None] * torch.arange(n)).exp())
        u = x.transpose(1, 2)
        return F.silu(fft_conv(u, k, -1) + self.d[:, None] * u).transpose(1, 2)


class Dss(nn.Module):
    """DSS (Gupta et al., 2022): `exp`, or `softmax`, whose kernel is divided by a sum over the whole sequence."""

    def __init__(self, width, state=8, softmax=False):
        super().__init__()
        self.softmax = softmax
        self.log_dt = nn.Parameter(torch.rand(width) * 2.0 - 4.0)
        self.log_re, self.im = nn.Parameter(torch.full((state,), math.log(0.5))), nn.Parameter(math.pi * torch.arange(1, state + 1).float())
        self.w = nn.Parameter(torch.randn(width, state, 2) * state ** -0.5)
        self.out = nn.Linear(width, width)

    def kernel(self, n):
        """[width, n]"""
        dt, lre = self.log_dt.exp()[:, None], -self.log_re.exp()
        k = torch.arange(n, dtype=torch.float32)
        size, phase = ((lre * dt)[..., None] * k).exp(), (self.im * dt)[..., None] * k
        re, im = size * phase.cos(), size * phase.sin()
        if self.softmax:
            sre, sim = re.sum(-1, keepdim=True), im.sum(-1, keepdim=True)
        else:  # w (exp(lambda dt) - 1) / lambda, as division by lambda / (exp(lambda dt) - 1)
            grow = (lre * dt).exp()
            ere, eim = grow * (self.im * dt).cos() - 1, grow * (self.im * dt).sin()
            norm = ere ** 2 + eim ** 2
            sre, sim = ((lre * ere + self.im * eim) / norm)[..., None], ((self.im * ere - lre * eim) / norm)[..., None]
        norm = sre ** 2 + sim ** 2
        re, im = (re * sre + im * sim) / norm, (im * sre - re * sim) / norm
        return (self.w[..., :1] * re - self.w[..., 1:] * im).sum(1)

    def forward(self, x):
        u = x.transpose(1, 2)
        return self.out(F.gelu(fft_conv(u, self.kernel(x.shape[1]), -1) + u).transpose(1, 2))


class Lru(nn.Module):
    """LRU (Orvieto et al., 2023), and S5 alike, in convolution mode: channels mixed into a complex diagonal state and out
    of it again; the state's real and imaginary parts are four real convolutions of two streams."""

    def __init__(self, width, state=6):
        super().__init__()
        r, theta = torch.rand(state) * 0.25 + 0.7, torch.rand(state) * math.pi
        self.nu, self.theta = nn.Parameter((-r.log()).log()), nn.Parameter(theta.log())
        self.b_re, self.b_im = nn.Linear(width, state, bias=False), nn.Linear(width, state, bias=False)
        self.c_re, self.c_im = nn.Linear(state, width, bias=False), nn.Linear(state, width, bias=False)
        self.gamma = nn.Parameter((1 - r ** 2).sqrt())
        self.d = nn.Parameter(torch.randn(width))

    def forward(self, x):
        n = x.shape[1]
        k = torch.arange(n, dtype=torch.float32)[:, None]
        size, phase = (-self.nu.exp() * k).exp(), self.theta.exp() * k
        re, im = (size * phase.cos())[None], (size * phase.sin())[None]
        ure, uim = self.b_re(x) * self.gamma, self.b_im(x) * self.gamma
        hre, him = fft_conv(ure, re, 1) - fft_conv(uim, im, 1), fft_conv(ure, im, 1) + fft_conv(uim, re, 1)
        return F.gelu(self.c_re(hre) - self.c_im(him) + self.d * x)


class CkConv(nn.Module):
    """CKConv (Romero et al., 2022), depthwise: a SIREN of relative positions gives the weight of a Conv as long as the
    sequence; `mixing`: a kernel for every pair of channels, as the paper's."""

    def __init__(self, width, hidden=12, length=64, omega=12.0, mixing=False):
        super().__init__()
        self.width, self.length, self.omega, self.mixing = width, length, omega, mixing
        self.inner = nn.ModuleList([nn.Linear(1, hidden), nn.Linear(hidden, hidden)])
        self.last = nn.Linear(hidden, width * width if mixing else width)
        nn.init.normal_(self.last.weight, std=0.2)
        self.bias = nn.Parameter(torch.randn(width))

    def forward(self, x):
        n, u = x.shape[1], x.transpose(1, 2)
        p = 1 - 2 * torch.arange(n, dtype=torch.float32)[:, None] / self.length
        for layer in self.inner:
            p = torch.sin(self.omega * layer(p))
        k = self.last(p).T
        if self.mixing:  # y_o = sum over i of kernel_oi * x_i
            y = fft_conv(u[:, None], k.reshape(self.width, self.width, n)[None], -1).sum(2)
        else:
            y = F.conv1d(F.pad(u, (n - 1, 0)), k.flip(-1)[:, None], groups=self.width)
        return F.gelu(y + self.bias[:, None]).transpose(1, 2)


class MultiresConv(nn.Module):
    """MultiresConv (Shi et al., 2023): a cascade of dilated causal depthwise Convs with the same two filters at each level."""

    def __init__(self, width, taps=2, depth=4):
        super().__init__()
        self.depth = depth
        self.h0, self.h1 = (nn.Parameter((torch.rand(width, 1, taps) * 2 - 1) * taps ** -0.5) for _ in range(2))
        self.w = nn.Parameter(torch.randn(width, depth + 2) * (2 * depth + 4) ** -0.5)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        low = u = x.transpose(1, 2)
        taps, groups = self.h0.shape[-1], u.shape[1]
        y, dilation = 0.0, 1
        for level in range(self.depth, 0, -1):
            padded = F.pad(low, (dilation * (taps - 1), 0))
            high = F.conv1d(padded, self.h1, dilation=dilation, groups=groups)
            low = F.conv1d(padded, self.h0, dilation=dilation, groups=groups)
            y = y + self.w[:, level:level + 1] * high
            dilation *= 2
        y = y + self.w[:, :1] * low + self.w[:, -1:] * u
        return self.out(F.gelu(y).transpose(1, 2))


class LongConvTable(nn.Module):
    """Simple long convolutions (Fu et al., 2023): a trained table [channels, length], squashed, sliced to the sequence."""

    def __init__(self, width, length=128, threshold=0.05):
        super().__init__()
        self.table, self.threshold = nn.Parameter(torch.randn(width, length) * 0.2), threshold
        self.d = nn.Parameter(torch.randn(width))

    def convolve(self, u, k):
        return fft_conv(u, k, -1)

    def forward(self, x):
        u = x.transpose(1, 2)
        k = self.table[:, :u.shape[-1]]
        k = F.relu(k.abs() - self.threshold) * k.sign()
        return F.gelu(self.convolve(u, k) + self.d[:, None] * u).transpose(1, 2)


class TwoSided(LongConvTable):
    """The full complex FFT, its imaginary part dropped at the end."""

    def convolve(self, u, k):
        n = u.shape[-1]
        return torch.fft.ifft(torch.fft.fft(u, 2 * n) * torch.fft.fft(k, 2 * n), 2 * n).real[..., :n]


class Toeplitz(nn.Module):
    """A kernel k = c * gamma^lag + d, applied as a Toeplitz matrix in one of several spellings."""

    def __init__(self, width, spelling):
        super().__init__()
        self.spelling = spelling
        self.c, self.gamma, self.d = nn.Parameter(torch.randn(width)), nn.Parameter(torch.rand(width) * 0.3 + 0.6), nn.Parameter(torch.randn(width) * 0.1)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        n, u = x.shape[1], x.transpose(1, 2)
        i = torch.arange(n, dtype=torch.float32)
        lag = i[:, None] - i[None]
        of = lambda lags: self.c[:, None, None] * self.gamma[:, None, None] ** lags + self.d[:, None, None]
        if self.spelling == "where":  # batched MatMul [c, n, n] @ [b, c, n, 1]
            matrix = torch.where(lag >= 0, of(lag.clamp(min=0)), torch.zeros(()))
            y = (matrix @ u[..., None])[..., 0]
        elif self.spelling == "mask":  # a mask multiplied, an Einsum
            y = torch.einsum("cij,bcj->bci", of(lag.abs()) * torch.ones(n, n).tril(), u)
        elif self.spelling == "skew":  # the table padded, tiled and reshaped, so that each row is one further on
            k = F.pad((self.c[:, None] * self.gamma[:, None] ** i + self.d[:, None]).flip(-1), (0, n))
            matrix = k.repeat(1, n)[:, :n * (2 * n - 1)].reshape(-1, n, 2 * n - 1)[..., n - 1:]
            y = torch.einsum("cij,bcj->bci", matrix, u)
        else:  # windows of the padded stream, contracted with the reversed kernel
            k = (self.c[:, None] * self.gamma[:, None] ** i + self.d[:, None]).flip(-1)
            at = torch.arange(n)[:, None] + torch.arange(n)[None]
            y = torch.einsum("bcij,cj->bci", F.pad(u, (n - 1, 0))[..., at], k)
        return self.out(F.silu(y.transpose(1, 2)))


class ConvMixer(nn.Module):
    """Causal Conv1d with groups, dilation or a channel multiplier, cropped at the end."""

    def __init__(self, width, groups, taps=4, dilation=1, multiplier=1):
        super().__init__()
        self.crop = (taps - 1) * dilation
        self.conv = nn.Conv1d(width, width * multiplier, taps, padding=self.crop, dilation=dilation, groups=groups)
        self.out = nn.Linear(width * multiplier, width)

    def forward(self, x):
        return self.out(F.gelu(self.conv(x.transpose(1, 2))[..., :-self.crop]).transpose(1, 2))
