"""Exports the trained hybrid with reference outputs: train_hybrid.py's folder and the demo's -> OUT.

    python test/models/make/export_hybrid.py TRAINED test/models/demo test/models/hybrid

Large matrices are stored in half precision and widened by a Cast: that is what the trained weights are rounded to.
"""
import logging, shutil, sys, warnings
from pathlib import Path
import numpy as np, onnx, torch
from onnx import TensorProto, helper, numpy_helper
from export import strip_paths
from hybrid import Hybrid

logging.disable(logging.WARNING); warnings.filterwarnings("ignore"); torch.set_num_threads(1)
trained, demo, out = (Path(name) for name in sys.argv[1:4])
saved = torch.load(trained / "model.pt"); model = Hybrid(**saved["config"]); model.load_state_dict(saved["state"]); model.eval()
ids = torch.from_numpy(numpy_helper.to_array(onnx.load_tensor(demo / "valid_ids.pb")).copy()).flatten()


def halve(path):
    graph = (file := onnx.load(path)).graph
    casts = []
    for tensor in graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype != np.float32 or value.size < 4096: continue
        assert (value == value.astype(np.float16)).all(), tensor.name
        casts.append(helper.make_node("Cast", [f"{tensor.name}.half"], [tensor.name], name=f"{tensor.name}.widened", to=TensorProto.FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float16), f"{tensor.name}.half"))
    nodes = [*casts, *graph.node]
    del graph.node[:]; graph.node.extend(nodes)
    onnx.checker.check_model(file); onnx.save(file, path)


def pb(path, value, name):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(numpy_helper.from_array(np.ascontiguousarray(value.numpy()), name).SerializeToString())


out.mkdir(parents=True, exist_ok=True)
batch, time = torch.export.Dim("batch_size", min=1, max=1024), torch.export.Dim("sequence_length", min=2, max=1 << 16)
torch.onnx.export(model, (ids[:96].reshape(2, 48),), str(out / "model.onnx"), input_names=["input_ids"], output_names=["logits"], dynamo=True,
                  opset_version=18, external_data=False, dynamic_shapes=({0: batch, 1: time},), verbose=False)
strip_paths(out / "model.onnx", traces=False); halve(out / "model.onnx")
with torch.no_grad():
    for k, x in enumerate([ids[:160][None], ids[1000:1072].reshape(3, 24)]):
        pb(out / f"test_data_set_{k}" / "input_0.pb", x, "input_ids"); pb(out / f"test_data_set_{k}" / "output_0.pb", model(x), "logits")
shutil.copy(trained / "training.json", out / "training.json")
