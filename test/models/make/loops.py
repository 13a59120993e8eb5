"""Writes small models whose recurrence is a Python loop, exported as Loop by torch.jit.script and by torch.while_loop, and adds
them to stream.json.

    python loops.py FOLDER [NAME ...]

Those with `refused` turn another way than over the rows from the first to the last, or mix sequences.
"""
import json, sys
from pathlib import Path
import onnx
import torch
from torch import nn
from torch._higher_order_ops.while_loop import while_loop
from export import export

out, wanted = Path(sys.argv[1]), sys.argv[2:]
torch.set_num_threads(1)
listing = out / "stream.json"
rows = {row["name"]: row for row in json.loads(listing.read_text())}
width, hidden = 8, 6


def add(name, kind, note, module, refused=False, script=True, lengths=(40, 48)):
    if wanted and name not in wanted: return
    torch.manual_seed(sum(name.encode()))
    module = module().eval().requires_grad_(False)
    export(torch.jit.script(module) if script else module, torch.randn(2, 12, width), out / name, opset=17 if script else 18,
           torchscript=script, lengths=lengths, traces=False)
    port = lambda size: {"dims": ["batch_size", "sequence_length", size], "axis": 1}
    row = dict(name=name, kind=kind, note=note, expected="refuse" if refused else "convert",
               inputs={"signal": port(width)}, outputs={"features": port(4)}, tolerance=0.0001)
    rows[name] = dict(row, refused=True) if refused else row
    print(name, sorted({node.op_type for node in onnx.load(out / name / "model.onnx").graph.node}), flush=True)


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.Linear(width + hidden, hidden), nn.Linear(hidden, 4)

    def turn(self, x, h): return torch.tanh(self.cell(torch.cat([x, h], dim=-1)))


class Appended(Cell):
    def forward(self, signal):
        h, ys = torch.zeros(signal.size(0), 6), []
        for t in range(signal.size(1)):
            h = self.turn(signal[:, t], h)
            ys.append(h)
        return self.out(torch.stack(ys, dim=1))


class While(Cell):
    def forward(self, signal):
        h, ys, t = torch.zeros(signal.size(0), 6), [], 0
        while t < signal.size(1):
            h = self.turn(signal[:, t], h)
            ys.append(h)
            t += 1
        return self.out(torch.stack(ys, dim=1))


class WhileOp(Cell):
    def forward(self, signal):
        def goes_on(t, h, y): return t < signal.size(1)

        def body(t, h, y):
            h = self.turn(signal.index_select(1, t.reshape(1)).squeeze(1), h)
            return t + 1, h, y.index_copy(1, t.reshape(1), h.unsqueeze(1))

        start = torch.tensor(0), torch.zeros(signal.size(0), hidden), torch.zeros(signal.size(0), signal.size(1), hidden)
        return self.out(while_loop(goes_on, body, start)[2])


class Lstm(nn.Module):
    """Gates of the input are computed for all positions before; two states; rows are joined along time in front."""

    def __init__(self):
        super().__init__()
        self.w, self.r, self.out = nn.Linear(width, 24), nn.Linear(6, 24), nn.Linear(6, 4)
        self.start = nn.Parameter(torch.randn(6))

    def forward(self, signal):
        gates = self.w(signal).transpose(0, 1)
        h = self.start.unsqueeze(0).expand(signal.size(0), 6)
        c = torch.zeros(signal.size(0), 6)
        y = torch.zeros(0, signal.size(0), 6)
        for t in range(signal.size(1)):
            i, f, g, o = (gates[t] + self.r(h)).chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            y = torch.cat([y, h.unsqueeze(0)], dim=0)
        return self.out(y.transpose(0, 1))


class Backwards(Cell):
    def forward(self, signal):
        h, ys, n = torch.zeros(signal.size(0), 6), [], signal.size(1)
        for t in range(n):
            h = self.turn(signal[:, n - 1 - t], h)
            ys.append(h)
        return self.out(torch.stack(ys, dim=1))


class InFront(Cell):
    def forward(self, signal):
        h, y = torch.zeros(signal.size(0), 6), torch.zeros(signal.size(0), 0, 6)
        for t in range(signal.size(1)):
            h = self.turn(signal[:, t], h)
            y = torch.cat([h.unsqueeze(1), y], dim=1)
        return self.out(y)


class Stops(Cell):
    """The loop ends where the data say so; the rest is zeros."""

    def forward(self, signal):
        h, y, t = torch.zeros(signal.size(0), 6), torch.zeros(signal.size(0), 0, 6), 0
        while bool(h.abs().max() < 0.999) and t < signal.size(1):
            h = self.turn(signal[:, t], h)
            y = torch.cat([y, h.unsqueeze(1)], dim=1)
            t += 1
        return self.out(torch.nn.functional.pad(y, [0, 0, 0, signal.size(1) - t]))


class Fewer(Cell):
    """One turn less than there are rows: which is the last depends on the length."""

    def forward(self, signal):
        h, y = torch.zeros(signal.size(0), 6), torch.zeros(signal.size(0), 0, 6)
        for t in range(signal.size(1) - 1):
            h = self.turn(signal[:, t], h)
            y = torch.cat([y, h.unsqueeze(1)], dim=1)
        return self.out(torch.cat([y, torch.zeros(signal.size(0), 1, 6)], dim=1))


class Mixed(Cell):
    def forward(self, signal):
        h, ys = torch.zeros(signal.size(0), 6), []
        for t in range(signal.size(1)):
            h = self.turn(signal[:, t] + signal[:, t].mean(0, keepdim=True), h)
            ys.append(h)
        return self.out(torch.stack(ys, dim=1))


class Ahead(Cell):
    """Each turn also reads the mean of all rows."""

    def forward(self, signal):
        h, ys = torch.zeros(signal.size(0), 6), []
        for t in range(signal.size(1)):
            h = self.turn(signal[:, t] + signal.mean(1), h)
            ys.append(h)
        return self.out(torch.stack(ys, dim=1))


LOOP = "F2 Loop"
add("loop-appended", LOOP, "a list that is stacked behind: SequenceInsert; TorchScript", Appended)
add("loop-while", LOOP, "a condition and a counter instead of a number of turns; TorchScript", While)
add("loop-while-op", LOOP, "torch.while_loop: rows written over zeros with ScatterND; dynamo", WhileOp, script=False)
add("loop-lstm", LOOP, "two states, a start that is not zero, gates of all positions before, rows joined along axis 0", Lstm)
add("loop-backwards", LOOP, "reads the rows from the last on", Backwards, refused=True)
add("loop-in-front", LOOP, "joins rows in front", InFront, refused=True)
add("loop-stops", LOOP, "ends where the data say so", Stops, refused=True)
add("loop-fewer", LOOP, "one turn less than rows", Fewer, refused=True)
add("loop-mixed", LOOP, "reads the mean of the batch", Mixed, refused=True)
add("loop-ahead", LOOP, "reads the mean of all rows", Ahead, refused=True)
listing.write_text(json.dumps(list(rows.values()), indent=1, ensure_ascii=False) + "\n")
