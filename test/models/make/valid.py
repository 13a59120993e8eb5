"""Writes small networks whose outputs lack the first positions, as convolutions and pooling without padding leave them, and their
traps, and adds them to stream.json.

    python valid.py FOLDER [NAME ...]
"""
import json, sys
from pathlib import Path
import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional as F
from export import strip_paths

out, wanted = Path(sys.argv[1]), sys.argv[2:]
torch.set_num_threads(1)
listing = out / "stream.json"
rows = {row["name"]: row for row in json.loads(listing.read_text())}


class Tcn(nn.Module):
    """Dilated convolutions without padding; skips are cut at the front to the positions that are left."""

    def __init__(self, width, dilations):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(width, width, 3, dilation=d) for d in dilations)
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in dilations)
        for norm in self.norms: norm.running_mean.normal_(); norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        for layer, norm in zip(self.layers, self.norms):
            y = F.elu(norm(layer(x)))
            x = x[..., x.shape[-1] - y.shape[-1] :] + y
        return x


class Centered(nn.Module):
    """The skip is cut on both sides, so that a position meets the one in the middle of its window."""

    def __init__(self, width):
        super().__init__()
        self.first, self.second = nn.Conv1d(width, width, 3), nn.Conv1d(width, width, 5)

    def forward(self, x):
        x = x[..., 1:-1] + torch.tanh(self.first(x))
        return x[..., 2:-2] * torch.sigmoid(self.second(x))


class Plane(nn.Module):
    """[B, C, T, F]: no padding along time, and as much as keeps the size along frequency."""

    def __init__(self, bands):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, (3, 3), padding=(0, 1)), nn.Conv2d(4, 2, (2, 5), padding=(0, 2), dilation=(3, 1))
        self.gate = nn.Linear(2 * bands, bands)

    def forward(self, x):
        y = self.second(torch.relu(self.first(x[:, None])))
        y = y.permute(0, 2, 1, 3).flatten(2)
        return torch.sigmoid(self.gate(y)) * x[:, 5:]


class Pools(nn.Module):
    """The largest of three positions, the mean of four; two answers, which lack different numbers of positions."""

    def __init__(self, width):
        super().__init__()
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, x):
        y = F.max_pool1d(self.mix(x), 3, stride=1)
        return y, F.avg_pool1d(torch.tanh(y), 4, stride=1) - x[..., 5:], x[..., 1:] - x[..., :-1]


class WaveNet(nn.Module):
    """Gated convolutions of two taps without padding; skips are cut to what the last one has."""

    def __init__(self, width, layers):
        super().__init__()
        self.dilations = [2 ** k for k in range(layers)]
        self.start = nn.Conv1d(1, width, 1)
        self.filters = nn.ModuleList(nn.Conv1d(width, 2 * width, 2, dilation=d) for d in self.dilations)
        self.outs = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in self.dilations)
        self.end = nn.Conv1d(width, 1, 1)

    def forward(self, x):
        size, skips = x.shape[1] - sum(self.dilations), 0
        x = self.start(x[:, None])
        for d, layer, last in zip(self.dilations, self.filters, self.outs):
            a, b = layer(x).chunk(2, 1)
            y = last(torch.tanh(a) * torch.sigmoid(b))
            x = x[..., d:] + y
            skips = skips + y[..., y.shape[-1] - size :]
        return self.end(torch.relu(skips))[:, 0]


class Trap(nn.Module):
    """Not what it seems, in one way."""

    def __init__(self, width, trap):
        super().__init__()
        self.layer, self.trap = nn.Conv1d(width, width, 3), trap

    def forward(self, x):
        y = self.layer(x)
        # what was left out in front is filled up at the end: each position stands two before where it belongs
        if self.trap == "ahead": return F.pad(y, (0, 2)) + x
        # positions that are cut from the end, and padding in front of none
        if self.trap == "last": return y[..., -4:] + x[..., -4:]
        # other positions meet by being as many
        if self.trap == "flipped": return y + x[..., 2:].flip(-1)


def add(name, build, example, note, inputs, outputs, missing=None, refused=False, opset=18):
    if wanted and name not in wanted: return
    torch.manual_seed(sum(name.encode()))
    model = build().eval()
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    axis = inputs["signal"]["axis"]
    batch, time = torch.export.Dim("batch_size", min=1, max=64), torch.export.Dim("sequence_length", min=16, max=4096)
    torch.onnx.export(model, (example,), str(folder / "model.onnx"), dynamo=True, external_data=False, verbose=False, opset_version=opset,
                      dynamic_shapes=({0: batch, axis: time},), input_names=list(inputs), output_names=list(outputs))
    strip_paths(folder / "model.onnx", traces=False)
    for k, (count, length) in enumerate([(1, 40), (3, 48)]):
        data = folder / f"test_data_set_{k}"
        data.mkdir(exist_ok=True)
        size = list(example.shape)
        size[0], size[axis] = count, length
        x = torch.randn(size)
        with torch.no_grad(): y = model(x)
        files = [("input_0", "signal", x)] + [(f"output_{i}", title, value) for i, (title, value) in enumerate(zip(outputs, y if isinstance(y, tuple) else (y,)))]
        for stem, title, value in files:
            (data / f"{stem}.pb").write_bytes(numpy_helper.from_array(np.ascontiguousarray(value.numpy()), title).SerializeToString())
    for title, count in (missing or {}).items(): outputs[title]["missing"] = count
    row = dict(name=name, kind="finite reach, without padding", note=note, expected="refuse" if refused else "convert", inputs=inputs, outputs=outputs, tolerance=0.0001)
    rows[name] = dict(row, refused=True) if refused else row
    print(name, (folder / "model.onnx").stat().st_size, sorted({node.op_type for node in onnx.load(folder / "model.onnx").graph.node}), flush=True)


last = lambda size: {"dims": ["batch_size", size, "sequence_length"], "axis": 2}
middle = lambda size: {"dims": ["batch_size", "sequence_length", size], "axis": 1}
flat = lambda: {"dims": ["batch_size", "sequence_length"], "axis": 1}
add("valid-tcn", lambda: Tcn(5, [1, 2, 4]), torch.randn(2, 5, 24), "dilated convolutions without padding, skips cut at the front", {"signal": last(5)}, {"features": last(5)}, {"features": 14})
add("valid-centered", lambda: Centered(4), torch.randn(2, 4, 24), "convolutions without padding, skips cut on both sides", {"signal": last(4)}, {"features": last(4)}, {"features": 6})
add("valid-plane", lambda: Plane(6), torch.randn(2, 24, 6), "Conv2d over [B, C, T, F] without padding along time", {"signal": middle(6)}, {"features": middle(6)}, {"features": 5})
add("valid-pools", lambda: Pools(4), torch.randn(2, 4, 24), "pooling and differences without padding: three outputs that lack 2, 5 and 1 positions", {"signal": last(4)},
    {"largest": last(4), "features": last(4), "steps": last(4)}, {"largest": 2, "features": 5, "steps": 1})
add("valid-wavenet", lambda: WaveNet(4, 5), torch.randn(2, 40), "WaveNet without padding: each skip is cut to what the last layer has", {"signal": flat()}, {"features": flat()}, {"features": 31}, opset=20)
add("valid-ahead", lambda: Trap(4, "ahead"), torch.randn(2, 4, 24), "what a convolution leaves out in front is filled up at the end", {"signal": last(4)}, {"features": last(4)}, refused=True)
add("valid-last", lambda: Trap(4, "last"), torch.randn(2, 4, 24), "the last four positions", {"signal": last(4)}, {"features": last(4)}, refused=True)
add("valid-flipped", lambda: Trap(4, "flipped"), torch.randn(2, 4, 24), "meets as many positions, from the last to the first", {"signal": last(4)}, {"features": last(4)}, refused=True)
listing.write_text(json.dumps(list(rows.values()), indent=1, ensure_ascii=False) + "\n")
