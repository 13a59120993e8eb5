"""Writes small models of further families and spellings, exported by torch.onnx, and families.json.

    python families.py FOLDER [NAME ...]

`refused` in families.json: the model must be refused; test/traps.test.ts says where and why.
"""
import json, sys
from pathlib import Path
import torch
from torch import nn
from torch.nn import functional as F
import blocks as B
import variants as V
from export import export
from tnn import Tnn, Gtu

out, wanted = Path(sys.argv[1]), sys.argv[2:]
torch.set_num_threads(1)
listing = out / "families.json"
rows = {row["name"]: row for row in json.loads(listing.read_text())} if listing.exists() else {}
width = 8


def ids(b=2, n=48): return torch.randint(0, 61, (b, n))


def add(name, build, example=ids, refused=False, **kw):
    if wanted and name not in wanted: return
    torch.manual_seed(sum(name.encode()))
    row = export(build(), example(), out / name, traces=False, **kw)
    rows[name] = dict(row, refused=True) if refused else row
    print(json.dumps(rows[name]), flush=True)


def lm(*mixers): return B.LanguageModel(list(mixers), width)


class LastOnly(nn.Module):
    """Logits of the last position only."""

    def __init__(self):
        super().__init__()
        self.model = lm(B.S4d(width, 4))

    def forward(self, input_ids):
        m = self.model
        x = m.embedding(input_ids)
        for block in m.blocks: x = block(x)
        return m.head(m.norm(x[:, -1]))


class Positions(nn.Module):
    """Sinusoidal absolute positions, added to the embedding."""

    def __init__(self):
        super().__init__()
        self.model = lm(B.SgConv(width))

    def forward(self, input_ids):
        m = self.model
        angle = torch.arange(input_ids.shape[1])[:, None] * torch.tensor([1.0, 0.3, 0.1, 0.03])
        x = m.embedding(input_ids) + torch.cat([angle.sin(), angle.cos()], -1)
        for block in m.blocks: x = block(x)
        return m.head(m.norm(x))


class Normalized(Gtu):
    """TNN's `normalize`: each output divided by the kernel's sum up to it."""

    def convolve(self, v):
        k = self.kernel(v.shape[1]).abs()[None] + 0.1
        return B.fft_conv(v, k, 1) / B.fft_conv(torch.ones(1, v.shape[1], 1), k, 1)


class Bigram(nn.Module):
    """The ids shifted by one before they are embedded: features of pairs."""

    def __init__(self):
        super().__init__()
        self.model, self.before = lm(B.S4d(width, 4)), nn.Embedding(61, width)

    def forward(self, input_ids):
        m = self.model
        x = m.embedding(input_ids) + self.before(F.pad(input_ids, (1, 0))[:, :-1])
        for block in m.blocks: x = block(x)
        return m.head(m.norm(x))


class Conditioned(nn.Module):
    """Two streams and a conditioning vector in, two streams out."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, width), nn.Linear(3, width), nn.Linear(5, 2 * width)
        self.long, self.shift = B.S4d(width, 4), V.ConvMixer(width, width)
        self.first, self.second = nn.Linear(width, 4), nn.Linear(width, 2)

    def forward(self, audio, control, speaker):
        scale, offset = self.c(speaker).chunk(2, -1)
        x = self.a(audio) * (1 + scale[:, None]) + offset[:, None]
        x = x + self.long(x) * torch.sigmoid(self.b(control))
        return self.first(x), self.second(self.shift(x) + self.b(control))


def tnn(kind=None, **kw):
    m = Tnn(61, 16, 16, 16, 1, rpe_width=8, rpe_depth=1, **kw)
    if kind is not None:
        for g in m.mixers: g.__class__ = kind
    return m


def in_half(kind):
    """TNN with positions in the type of its weights; transforms in float32, as the published code does."""

    class Half(kind):
        def kernel(self, n):
            k = torch.arange(n).reshape(-1, 1).to(self.gamma.dtype)
            return self.rpe(k) * self.gamma ** k

    return Half


class HalfFft(Gtu):
    def convolve(self, v):
        return B.fft_conv(v.float(), self.kernel(v.shape[1]).float()[None], 1).to(v.dtype)


class HalfSg(B.SgConv):
    def forward(self, x):
        y = B.fft_conv(x.transpose(1, 2).float(), self.kernel()[:, :x.shape[1]].float(), -1).to(x.dtype)
        return self.out(F.gelu(y).transpose(1, 2))


add("hyena-order3", lambda: lm(V.HyenaOrder3(width)), note="Hyena of order 3: two implicit filters from buffers of 128 rows")
add("h3-heads", lambda: lm(V.H3Heads(width)), note="H3 with two heads: one kernel for the 4 x 4 products of a head")
add("s4-dplr", lambda: lm(V.S4Dplr(width)), note="S4, diagonal plus low rank: Cauchy sums at 64 roots of unity")
add("s4-real", lambda: lm(V.S4Real(width)), note="S4D with real poles, the Vandermonde product an Einsum")
add("dss-exp", lambda: lm(V.Dss(width)), note="DSS-exp")
add("dss-softmax", lambda: lm(V.Dss(width, softmax=True)), note="DSS-softmax: divided by a sum over the sequence", refused=True)
add("lru", lambda: lm(V.Lru(width)), note="LRU and S5: a complex diagonal state, its parts as four real convolutions")
add("ckconv", lambda: lm(V.CkConv(width)), note="CKConv, depthwise: a SIREN gives a Conv's weight as long as the sequence")
add("ckconv-mixing", lambda: lm(V.CkConv(width, mixing=True)), note="CKConv with a kernel for every pair of channels")
add("multires", lambda: lm(V.MultiresConv(width)), note="MultiresConv: dilated Convs with shared weights, 4 levels")
add("multires-k4", lambda: lm(V.MultiresConv(width, 4, 3)), note="MultiresConv with 4 taps, 3 levels")
add("longconv-table", lambda: lm(V.LongConvTable(width)), note="a trained table of 128 taps, squashed, sliced")
add("fft-two-sided", lambda: lm(V.TwoSided(width)), note="torch.fft.fft and ifft: two-sided DFTs")
add("fft-two-sided-opset20", lambda: lm(V.TwoSided(width)), opset=20, note="the same, the axes of its DFTs inputs")
for spelling in ("where", "mask", "skew", "windows"):
    add(f"toeplitz-{spelling}", lambda: lm(V.Toeplitz(width, spelling)), note=f"a Toeplitz matrix by {spelling}")
add("conv-dilated", lambda: lm(V.ConvMixer(width, width, dilation=3)), note="depthwise Conv, dilation 3")
add("conv-multiplier", lambda: lm(V.ConvMixer(width, width, multiplier=2)), note="depthwise Conv, two kernels for each channel")
add("conv-grouped", lambda: lm(V.ConvMixer(width, width // 2)), note="Conv in groups of two channels", refused=True)
add("conv-full", lambda: lm(V.ConvMixer(width, 1)), note="Conv from every channel to every other", refused=True)
add("conditioned", Conditioned, example=lambda: (torch.randn(2, 48, 4), torch.randn(2, 48, 3), torch.randn(2, 5)), inputs=("audio", "control", "speaker"),
    outputs=("features", "envelope"), note="two streams and a vector without time in, two streams out")
add("last-logits", LastOnly, note="logits of the last position only", axes={"logits": -1})
add("positions", Positions, note="sinusoidal absolute positions")
add("tnn-normalize", lambda: tnn(Normalized), note="TNN divided by the convolution of ones")
add("bigram", Bigram, note="ids shifted by one before the embedding")
for dtype in (torch.float16, torch.bfloat16):
    end = "f16" if dtype == torch.float16 else "bf16"
    add(f"tnn-conv1d-{end}", lambda: tnn(in_half(B.GtuConv1d)), half=dtype, note="a Conv of 64 taps")
    add(f"tnn-toeplitz-{end}", lambda: tnn(in_half(B.GtuToeplitz)), half=dtype, note="a Toeplitz matrix")
    add(f"tnn-fft-{end}", lambda: tnn(in_half(HalfFft)), half=dtype, note="FFT in float32")
    add(f"sgconv-{end}", lambda: lm(HalfSg(width)), half=dtype, note="SGConv, FFT in float32")
listing.write_text(json.dumps(list(rows.values()), indent=1) + "\n")
