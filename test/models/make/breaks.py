"""More graphs about which one easily claims too much: found by reading the proofs for gaps. Each behaves one way over the
lengths that are tried, and another way at the length that is named.

    python breaks.py OUT     adds them to OUT, and to OUT/claims.json
"""
import json, sys
from pathlib import Path
import numpy as np, onnx
from claims import G, C, T, W, full


def I(g, v): return g.c(v, np.int64)
def F(g, v): return g.c(v, np.float32)
def positions(g, first=0): return g("Range", I(g, first), g("Add", g.dim("x", 1), I(g, first)), I(g, 1))
def floats(g, v): return g("Cast", v, to=T.FLOAT)
def column(g, v): return g("Unsqueeze", v, I(g, [1]))
def row(g, v): return g("Unsqueeze", v, I(g, [0]))
def decay(g, i, rates=(0.05, 0.1, 0.2, 0.4)): return g("Exp", g("Mul", column(g, i), F(g, [[-r for r in rates]])))


def convolved(g, k, rows=None):
    "x convolved with k [n, C] by transforms of 2n points, cut to some rows"
    n = g.dim("x", 1); n2 = g("Mul", n, I(g, 2))
    f = lambda v: g("DFT", g("Unsqueeze", v, I(g, [3])), n2, axis=1, onesided=1)
    a, b = f("x"), f(g("Unsqueeze", k, I(g, [0])))
    ar, ai, br, bi = (g("Slice", v, I(g, [i]), I(g, [i + 1]), I(g, [3])) for v in (a, b) for i in (0, 1))
    re, im = g("Sub", g("Mul", ar, br), g("Mul", ai, bi)), g("Add", g("Mul", ar, bi), g("Mul", ai, br))
    y = g("DFT", g("Concat", re, im, axis=3), n2, axis=1, inverse=1, onesided=1)
    y = g("Squeeze", g("Slice", y, I(g, [0]), I(g, [1]), I(g, [3])), I(g, [3]))
    return g("Slice", y, I(g, [0]), row(g, rows or n), I(g, [1]))


def with_sine(g, first):
    "x and a sine of the positions from a first one on, then a causal Conv"
    r = g("Range", first, g("Add", g.dim("x", 1), first), I(g, 1))
    return g("Sin", g("Mul", floats(g, r), F(g, .7)))


def one_row():
    "y = x + conv(x)[:s], where s is one row at length 20000, which is stretched"
    g = G(); n = g.dim("x", 1); k = decay(g, floats(g, positions(g)))
    s = g("Sub", n, g("Mul", g("Cast", g("Equal", n, I(g, 20000)), to=T.INT64), I(g, 19999)))
    return g.model(g("Add", "x", convolved(g, k, s)), yshape=full), 20000


def channels_permuted():
    "a kernel scaled by numbers that a Reshape puts in another order from length 20000 on"
    g = G(); n = g.dim("x", 1); m = g("Cast", g("GreaterOrEqual", n, I(g, 20000)), to=T.INT64)
    shape = g("Concat", row(g, g("Add", m, I(g, 1))), row(g, g("Sub", I(g, 4), g("Mul", m, I(g, 2)))), axis=0)
    w = g("Reshape", g("Transpose", g("Reshape", F(g, [1, 2, 3, 4]), shape), perm=[1, 0]), I(g, [1, 4]))
    return g.model(convolved(g, g("Mul", decay(g, floats(g, positions(g))), w)), yshape=full), 20000


def multiple_of_11():
    "positions that begin at 1 where the length is a multiple of 11"
    g = G(); n = g.dim("x", 1)
    m = g("Sub", I(g, 1), g("Div", g("Add", g("Mod", n, I(g, 11)), I(g, 10)), I(g, 11)))
    return g.model(g.conv(g("Add", "x", column(g, with_sine(g, m))), W), yshape=full), 110


def wrapped_range():
    "positions that begin at a difference that is 0 until int32 wraps"
    g = G(); n = g.dim("x", 1)
    s = g("Cast", g("Mul", g("Cast", n, to=T.INT32), g.c(100000, np.int32)), to=T.INT64)
    return g.model(g.conv(g("Add", "x", column(g, with_sine(g, g("Sub", s, g("Mul", n, I(g, 100000)))))), W), yshape=full), 22001


def small_column():
    "a table of a column of 1e6 and sines that move by 3 positions at length 10000"
    g = G(); m = g("Mul", g("Div", g.dim("x", 1), I(g, 10000)), I(g, 3))
    p = g("Add", column(g, with_sine(g, m)), F(g, [[1e6, 0, 0, 0]]))
    return g.model(g.conv(g("Mul", g("Add", "x", p), F(g, [[1e-6, 1, 1, 1]])), W), yshape=full), 12000


def rounded_mask():
    "a Toeplitz matrix whose mask counts in float32 near 2^24: it sees the next token from position 5000 on"
    g = G(); i = positions(g); f = floats(g, i); far = g("Add", f, F(g, 2**24 - 5000))
    d = g("Sub", column(g, f), row(g, f)); mask = g("GreaterOrEqual", column(g, far), row(g, far))
    m = g("Where", mask, g("Exp", g("Mul", g("Abs", d), F(g, -.02))), F(g, 0.))
    return g.model(g("MatMul", m, "x"), yshape=full), 5600


def half_mask():
    "a Toeplitz matrix whose mask counts in half precision: it sees the next token from position 2049 on"
    g = G(); i = positions(g); f = floats(g, i); half = g("Cast", i, to=T.FLOAT16)
    d = g("Sub", column(g, f), row(g, f)); mask = g("GreaterOrEqual", column(g, half), row(g, half))
    m = g("Where", mask, g("Exp", g("Mul", g("Abs", d), F(g, -.02))), F(g, 0.))
    return g.model(g("MatMul", m, "x"), yshape=full), 2600


def half_difference():
    "the same by differences that are counted in half precision and then rounded"
    g = G(); i = positions(g); half = g("Cast", i, to=T.FLOAT16)
    d = floats(g, g("Sub", column(g, half), row(g, half)))
    near = g("Mul", g("Sub", column(g, floats(g, i)), row(g, floats(g, i))), F(g, 1.))
    m = g("Where", g("Less", d, F(g, 0.)), F(g, 0.), g("Exp", g("Mul", g("Abs", near), F(g, -.02))))
    return g.model(g("MatMul", m, "x"), yshape=full), 2600

ALL = [one_row, channels_permuted, multiple_of_11, wrapped_range, small_column, rounded_mask, half_mask, half_difference]


def main(out):
    listing = Path(out) / "claims.json"
    rows = json.loads(listing.read_text())
    names = {build.__name__.replace("_", "-") for build in ALL}
    rows = [each for each in rows if each["name"] not in names]
    for build in ALL:
        model, length = build()
        folder = Path(out) / build.__name__.replace("_", "-")
        folder.mkdir(parents=True, exist_ok=True)
        onnx.save(model, folder / "model.onnx")
        rows.append(dict(name=folder.name, note=build.__doc__, differs_at=dict(length=length, batch=1)))
    listing.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__": main(*sys.argv[1:])
