"""Writes networks whose linear recurrence is written out as torch's scan, and some whose recurrence is none, and adds them to
stream.json. The outputs are those of a Python loop over positions.

    python scans.py FOLDER [NAME ...]
"""
import json, sys
from pathlib import Path
import torch
from torch import nn
from torch._higher_order_ops.scan import scan
from export import export

out, wanted = Path(sys.argv[1]), sys.argv[2:]
torch.set_num_threads(1)
listing = out / "stream.json"
rows = {row["name"]: row for row in json.loads(listing.read_text())}


class Scanned(nn.Module):
    """signal, a scan over positions, features. `loop`: the same as a Python loop, which is not exported."""

    loop = False

    def over(self, step, carry, x):
        """x: [batch, time, width]; what is given at each position, [batch, time, …]."""
        x = x.transpose(0, 1)
        if not self.loop: return scan(step, carry, x)[1].transpose(0, 1)
        given = []
        for each in x:
            carry, y = step(carry, each)
            given.append(y)
        return torch.stack(given, 1)


class Average(Scanned):
    """An exponential average of each channel, whose factor is computed from its logarithm inside the loop."""

    def __init__(self, width):
        super().__init__()
        self.rate, self.out = nn.Parameter(torch.linspace(-1, 2, width)), nn.Linear(width, width)

    def forward(self, x):
        def step(s, u):
            keep = torch.sigmoid(self.rate)
            s = keep * s + (1 - keep) * torch.tanh(u)
            return s, s.clone()

        return self.out(self.over(step, torch.zeros(x.shape[0], x.shape[2]), x)) + x


class Momentum(Scanned):
    """A velocity and a place, which the velocity moves: a block of 2 × 2 that no rotation is."""

    def __init__(self, width):
        super().__init__()
        self.keep, self.pull = nn.Parameter(torch.linspace(0.3, 0.9, width)), nn.Parameter(torch.linspace(0.02, 0.2, width))
        self.out = nn.Linear(2 * width, width)

    def forward(self, x):
        def step(carry, u):
            velocity, place = carry
            velocity = self.keep * velocity - self.pull * place + u
            place = place + velocity / 4
            return (velocity, place), torch.cat([place, torch.tanh(velocity) * u], -1)

        zeros = torch.zeros(x.shape[0], x.shape[2])
        return self.out(self.over(step, (zeros, zeros.clone()), x))


class S4d(Scanned):
    """A real diagonal state space of [channels, states] for each channel; B and C are constants."""

    def __init__(self, width, states):
        super().__init__()
        self.a = nn.Parameter(torch.rand(width, states) * 0.9)
        self.b, self.c, self.d = nn.Parameter(torch.randn(width, states)), nn.Parameter(torch.randn(width, states)), nn.Parameter(torch.randn(width))

    def forward(self, x):
        def step(h, u):
            h = self.a * h + self.b * u[:, :, None]
            return h, (self.c * h).sum(-1) + self.d * u

        return torch.relu(self.over(step, torch.zeros(x.shape[0], *self.a.shape), x))


class Kept(Scanned):
    """No recurrence of constant factors in one way, so that it stays a loop."""

    def __init__(self, width, how):
        super().__init__()
        self.how, self.a, self.w = how, nn.Parameter(torch.linspace(0.2, 0.9, width)), nn.Parameter(torch.randn(width, width) * 0.3)

    def forward(self, x):
        def step(s, u):
            if self.how == "gate": s = torch.sigmoid(u) * self.a * s + u
            if self.how == "tanh": s = torch.tanh(self.a * s + u)
            if self.how == "matrix": s = s @ self.w + u
            if self.how == "square": s = self.a * s / 2 + 0.3 * s * torch.sigmoid(s) + u
            before, s = s, self.a * s + u if self.how == "before" else s
            return s, (before if self.how == "before" else s).clone()

        start = torch.ones if self.how == "start" else torch.zeros
        if self.how == "start":
            step = lambda s, u: ((t := self.a * s + u), t.clone())
        return self.over(step, start(x.shape[0], x.shape[2]), x) + x


def add(name, build, width, note):
    if wanted and name not in wanted: return
    torch.manual_seed(sum(name.encode()))
    module = build().eval()
    folder = out / name
    export(module, torch.randn(2, 24, width), folder, traces=False, lengths=(40, 70))
    # over the export's own outputs: those of the loop
    from onnx import TensorProto, numpy_helper
    module.loop = True
    for data in sorted(folder.glob("test_data_set_*")):
        given = TensorProto()
        given.ParseFromString((data / "input_0.pb").read_bytes())
        with torch.no_grad(): y = module(torch.from_numpy(numpy_helper.to_array(given).copy()))
        (data / "output_0.pb").write_bytes(numpy_helper.from_array(y.contiguous().numpy(), "features").SerializeToString())
    port = {"dims": ["batch_size", "sequence_length", width], "axis": 1}
    rows[name] = dict(name=name, kind="F1 Scan", note=note, expected="convert", inputs={"signal": port}, outputs={"features": dict(port)}, tolerance=0.0001)
    print(name, (folder / "model.onnx").stat().st_size, flush=True)


add("scan-average", lambda: Average(5), 5, "an exponential average as a scan")
add("scan-momentum", lambda: Momentum(3), 3, "velocity and place as a scan: two states of a channel that no rotation turns")
add("scan-s4d", lambda: S4d(4, 6), 4, "a real diagonal state space as a scan, states [channels, 6]")
for how, note in (("gate", "a factor that depends on what is read"), ("tanh", "a state that is bent"), ("matrix", "states that mix channels"),
                  ("square", "a state times a function of itself"), ("before", "what is given is the state before"), ("start", "begins with ones")):
    add(f"scan-{how}", lambda: Kept(4, how), 4, f"a scan that stays a loop: {note}")
listing.write_text(json.dumps(list(rows.values()), indent=1, ensure_ascii=False) + "\n")
