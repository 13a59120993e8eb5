"""Writes models of the zoo as ONNX Runtime's offline optimizer leaves them, with its fused operators, and optimized.json.

Their reference outputs are those of the models they were made from.
"""
import json, sys
from pathlib import Path
import onnx
import onnxruntime as ort

zoo, out = Path(sys.argv[1]), Path(sys.argv[2])
LEVELS = {"basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC, "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED}
rows = []
for name, level in [("tnn-fft-opset18", "extended"), ("tnn-toeplitz", "extended"), ("hyena", "extended"), ("sgconv", "extended"),
                    ("mixed", "extended"), ("tnn-fft-static", "basic")]:
    options = ort.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.log_severity_level = 3
    file = out / f"{name}-{level}.onnx"
    options.optimized_model_filepath = str(file)
    ort.InferenceSession(str(zoo / name / "model.onnx"), options, providers=["CPUExecutionProvider"])
    model = onnx.load(file)
    fused = sorted({f"{node.domain}::{node.op_type}" for node in model.graph.node if node.domain})
    rows.append(dict(name=file.stem, of=name, level=level, nodes=len(model.graph.node), fused=fused, onnxruntime=ort.__version__))
(out / "optimized.json").write_text(json.dumps(rows, indent=1) + "\n")
