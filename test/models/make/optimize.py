"""Writes models of the zoo as offline optimizers leave them, and optimized.json: ONNX Runtime's, with its fused operators,
onnxslim and onnxscript's.

    python optimize.py ZOO FOLDER [LEVEL ...]

Their reference outputs are those of the models they were made from.
"""
import json, sys
from pathlib import Path
import onnx
import onnxruntime as ort
import onnxscript, onnxscript.optimizer, onnxslim

zoo, out, levels = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]


def by_onnxruntime(level):
    def write(source, target):
        options = ort.SessionOptions()
        options.graph_optimization_level = level
        options.log_severity_level = 3
        options.optimized_model_filepath = str(target)
        ort.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
        return dict(onnxruntime=ort.__version__)
    return write


def by_onnxslim(source, target):
    onnx.save(onnxslim.slim(onnx.load(source)), target)
    return dict(onnxslim=onnxslim.__version__)


def by_onnxscript(source, target):
    onnx.save(onnxscript.optimizer.optimize(onnx.load(source)), target)
    return dict(onnxscript=onnxscript.__version__)


LEVELS = {"basic": by_onnxruntime(ort.GraphOptimizationLevel.ORT_ENABLE_BASIC), "extended": by_onnxruntime(ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED),
          "onnxslim": by_onnxslim, "onnxscript": by_onnxscript}
listing = out / "optimized.json"
rows = {row["name"]: row for row in json.loads(listing.read_text())} if listing.exists() else {}
for name, level in [("tnn-fft-opset18", "extended"), ("tnn-toeplitz", "extended"), ("hyena", "extended"), ("sgconv", "extended"),
                    ("mixed", "extended"), ("tnn-fft-static", "basic"),
                    *((name, level) for level in ("onnxslim", "onnxscript") for name in ("tnn-fft-opset18", "hyena", "s4d"))]:
    if levels and level not in levels: continue
    file = out / f"{name}-{level}.onnx"
    made = LEVELS[level](zoo / name / "model.onnx", file)
    model = onnx.load(file)
    for holder in [model.graph, *model.graph.node]: del holder.metadata_props[:]
    if level.startswith("onnxs"): onnx.save(model, file)
    fused = sorted({f"{node.domain}::{node.op_type}" for node in model.graph.node if node.domain})
    rows[file.stem] = dict(name=file.stem, of=name, level=level, nodes=len(model.graph.node), fused=fused, **made)
listing.write_text(json.dumps(list(rows.values()), indent=1) + "\n")
