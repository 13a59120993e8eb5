"""Writes pytorch-tcn, a TCN of pytorch-tcn (PyPI, MIT), and adds it to stream.json: exported as it is trained, with what its own
streaming mode gives frame by frame, its buffers filled by itself.

    python tcn.py FOLDER
"""
import json, sys
from pathlib import Path
import numpy as np
import onnx
import torch
from onnx import numpy_helper
from pytorch_tcn import TCN
from export import strip_paths

out = Path(sys.argv[1])
name, width = "pytorch-tcn", 6
torch.set_num_threads(1)
torch.manual_seed(sum(name.encode()))
# its last 1x1 brings the width down, skip connections and gates are on: everything that it can do and stay causal
model = TCN(width, [8, 8, 8], kernel_size=3, causal=True, use_norm="weight_norm", activation="relu", use_skip_connections=True,
            use_gate=True, output_projection=4).eval()
folder = out / name
folder.mkdir(parents=True, exist_ok=True)
batch, time = torch.export.Dim("batch_size", min=1, max=64), torch.export.Dim("sequence_length", min=2, max=4096)
torch.onnx.export(model, (torch.randn(2, width, 12),), str(folder / "model.onnx"), dynamo=True, external_data=False, verbose=False,
                  opset_version=18, dynamic_shapes=({0: batch, 2: time},), input_names=["signal"], output_names=["features"])
strip_paths(folder / "model.onnx", traces=False)
for k, (rows, length) in enumerate([(1, 40), (3, 48)]):
    data = folder / f"test_data_set_{k}"
    data.mkdir(exist_ok=True)
    x = torch.randn(rows, width, length)
    with torch.no_grad():
        model.reset_buffers()
        # its buffers hold one sequence
        y = []
        for row in x:
            model.reset_buffers()
            y.append(torch.cat([model(row[None, :, t : t + 1], inference=True) for t in range(length)], dim=-1))
        y = torch.cat(y)
        print("streaming against whole", float((y - model(x)).abs().max()))
    for title, stem, value in (("signal", "input", x), ("features", "output", y)):
        (data / f"{stem}_0.pb").write_bytes(numpy_helper.from_array(np.ascontiguousarray(value.numpy()), title).SerializeToString())
listing = out / "stream.json"
rows = {row["name"]: row for row in json.loads(listing.read_text())}
port = lambda size: {"dims": ["batch_size", size, "sequence_length"], "axis": 2}
rows[name] = dict(name=name, kind="A1 TCN", note="of pytorch-tcn; the outputs are those of its streaming mode", expected="convert",
                  inputs={"signal": port(width)}, outputs={"features": port(4)}, tolerance=0.0001)
listing.write_text(json.dumps(list(rows.values()), indent=1, ensure_ascii=False) + "\n")
print((folder / "model.onnx").stat().st_size, sorted({node.op_type for node in onnx.load(folder / "model.onnx").graph.node}))
