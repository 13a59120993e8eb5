"""pytorch-tcn (PyPI) in its own streaming mode, on one thread, and the same network exported: for tcn-speed.

    python tcn-peer.py MODEL.onnx FRAMES
"""
import json, sys, time
import torch
from pytorch_tcn import TCN

file, frames = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
torch.manual_seed(1)
model = TCN(64, [64] * 4, kernel_size=3, dilations=[1, 2, 4, 8], causal=True).eval()
torch.onnx.export(model, (torch.randn(1, 64, 40),), file, dynamo=True, external_data=False, verbose=False,
                  dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64), 2: torch.export.Dim("time", min=2, max=4096)},),
                  input_names=["signal"], output_names=["features"])
x = torch.randn(1, 64, frames)
times = []
with torch.inference_mode():
    model.reset_buffers()
    for t in range(frames):
        frame = x[:, :, t : t + 1].contiguous()
        start = time.perf_counter()
        model(frame, inference=True)
        times.append(time.perf_counter() - start)
print(json.dumps({"ms": 1000 * sorted(times)[frames // 2]}))
