"""Writes an LSTM language model and a GRU that masks the bands of speech, and adds them to stream.json. The outputs are those of
PyTorch's own cells, nn.LSTMCell and nn.GRUCell, one position after the other: not those of the layers that are exported.

    python cells.py FOLDER
"""
import json, sys
from pathlib import Path
import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from export import export

out = Path(sys.argv[1])
torch.set_num_threads(1)
listing = out / "stream.json"
rows = {row["name"]: row for row in json.loads(listing.read_text())}
VOCABULARY, WIDTH, BANDS, HIDDEN, LAYERS = 61, 12, 20, 16, 2


class Language(nn.Module):
    """Ids to logits: an embedding, two layers of LSTM, a head that shares nothing."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(VOCABULARY, WIDTH), nn.Linear(HIDDEN, VOCABULARY)
        self.layers = nn.LSTM(WIDTH, HIDDEN, LAYERS, batch_first=True)

    def forward(self, input_ids):
        return self.head(self.layers(self.table(input_ids))[0])


class Speech(nn.Module):
    """Energies of bands to a mask for each, as small enhancers have it."""

    def __init__(self):
        super().__init__()
        self.into, self.head = nn.Linear(BANDS, WIDTH), nn.Linear(HIDDEN, BANDS)
        self.layers = nn.GRU(WIDTH, HIDDEN, LAYERS, batch_first=True)

    def forward(self, signal):
        return torch.sigmoid(self.head(self.layers(torch.relu(self.into(torch.log1p(signal.abs()))))[0])) * signal


def cells(layers):
    """A cell of PyTorch for each layer, with its weights."""
    kind = nn.LSTMCell if isinstance(layers, nn.LSTM) else nn.GRUCell
    made = [kind(WIDTH if k == 0 else HIDDEN, HIDDEN) for k in range(LAYERS)]
    for k, cell in enumerate(made):
        cell.load_state_dict({name: getattr(layers, f"{name}_l{k}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")})
    return made


def by_cells(model, x):
    """What the model gives, position by position."""
    given, states, answers = cells(model.layers), [None] * LAYERS, []
    for t in range(x.shape[1]):
        one = x[:, t]
        y = model.table(one) if isinstance(model, Language) else torch.relu(model.into(torch.log1p(one.abs())))
        for k, cell in enumerate(given):
            states[k] = cell(y, states[k])
            y = states[k][0] if isinstance(cell, nn.LSTMCell) else states[k]
        answers.append(model.head(y) if isinstance(model, Language) else torch.sigmoid(model.head(y)) * one)
    return torch.stack(answers, 1)


def add(name, build, example, note, inputs, outputs):
    torch.manual_seed(sum(name.encode()))
    model = build().eval()
    folder = out / name
    export(model, example, folder, traces=False)
    for data in sorted(folder.glob("test_data_set_*")):
        x = torch.from_numpy(numpy_helper.to_array(onnx.load_tensor(data / "input_0.pb")).copy())
        with torch.no_grad():
            y = by_cells(model, x)
            print(name, data.name, "cells against layers", float((y - model(x)).abs().max()))
        title = next(iter(outputs))
        (data / "output_0.pb").write_bytes(numpy_helper.from_array(np.ascontiguousarray(y.numpy()), title).SerializeToString())
    rows[name] = dict(name=name, kind="F recurrent layers", note=note, expected="convert", inputs=inputs, outputs=outputs, tolerance=0.0001)


def port(*sizes): return {"dims": ["batch_size", "sequence_length", *sizes], "axis": 1}


add("lstm-language", Language, torch.randint(0, VOCABULARY, (2, 24)), "two layers of LSTM; the outputs are those of nn.LSTMCell in a loop",
    {"input_ids": port()}, {"logits": port(VOCABULARY)})
add("gru-speech", Speech, torch.randn(2, 24, BANDS), "two layers of GRU that mask bands; the outputs are those of nn.GRUCell in a loop",
    {"signal": port(BANDS)}, {"features": port(BANDS)})
listing.write_text(json.dumps(list(rows.values()), indent=1, ensure_ascii=False) + "\n")
