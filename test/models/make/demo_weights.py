"""The demo model in PyTorch again, with the weights of its ONNX file."""
import json
from pathlib import Path
import onnx, torch
from onnx import numpy_helper
from tnn import Tnn

SIZES = ("vocabulary", "width", "channels", "hidden", "layers", "heads", "rpe_width", "rpe_depth", "gamma")


def demo(folder):
    """folder: test/models/demo. The exporter has kept the names of all but the matrices, which it has transposed: those by their order."""
    training = json.loads((Path(folder) / "training.json").read_text())
    config = {name: training[name] for name in SIZES}
    graph = onnx.load(Path(folder) / "model.onnx").graph
    tensors = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    matrices = [tensors[node.input[1]] for node in graph.node if node.op_type == "MatMul" and node.input[1] in tensors]
    order = [f"{part}.{i}.{name}.weight" for i in range(config["layers"]) for part, names in (("mixers", "u v out"), ("feeds", "gate up down")) for name in names.split()]
    assert len(matrices) == len(order)
    state = {name: matrix.T.contiguous() for name, matrix in zip(order, matrices)}
    model = Tnn(**config)
    gamma = tensors["mixers.0.gamma"]
    model.load_state_dict({name: state[name] if name in state else gamma if name.endswith("gamma") else tensors[name] for name in model.state_dict()})
    return model.eval()
