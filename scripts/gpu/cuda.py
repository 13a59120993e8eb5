"""Measures a converted model on onnxruntime-gpu: decode step, prompt, CUDA graphs, batches, memory. States stay on the GPU.

    pip install onnxruntime-gpu numpy
    longconv-ssm convert model.onnx -o model --step-file
    python scripts/gpu/cuda.py model --json cuda.json

No node may fall back to the CPU: ONNX Runtime's own profile names the provider of every node, and the exit status is 1 where one
that computes with more than sizes runs elsewhere. `--provider cpu` tries the script itself on a machine without a GPU.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}
# integers of at most so many numbers are sizes, which ONNX Runtime computes on the CPU on purpose
SIZES = 64


def session(file: Path, provider: str, graph: bool = False, profile: str | None = None) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    own = {"enable_cuda_graph": "1"} if graph else {}
    return ort.InferenceSession(str(file), options, providers=[(PROVIDERS[provider], own)])


class Sequence:
    """A batch of sequences whose inputs and states are buffers on the device; each call reads what the last one wrote."""

    def __init__(self, made: ort.InferenceSession, device: str, batch: int, length: int):
        self.session, self.binding = made, made.io_binding()
        # a mask of as many positions as are read: every call is the first of its length
        sizes = {"batch_size": batch, "sequence_length": length, "total_length": length}
        buffers = {}
        for info in made.get_inputs():
            dims = [size if isinstance(size, int) else sizes.get(size, batch) for size in info.shape]
            fill = np.ones if info.name == "attention_mask" else np.zeros
            buffers[info.name] = ort.OrtValue.ortvalue_from_numpy(fill(dims, TYPES[info.type]), device, 0)
            self.binding.bind_ortvalue_input(info.name, buffers[info.name])
        for info in made.get_outputs():
            past = info.name.replace("present", "past", 1)
            # all of a past state is read before the present one is written, so both are one buffer
            if info.name != past and past in buffers:
                self.binding.bind_ortvalue_output(info.name, buffers[past])
            else:
                self.binding.bind_output(info.name, device, 0)

    def run(self):
        self.session.run_with_iobinding(self.binding)
        self.binding.synchronize_outputs()


def milliseconds(run, rounds: int) -> dict:
    for _ in range(3):
        run()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - begun))
    return {"ms": statistics.median(times), "least": min(times), "most": max(times), "rounds": rounds}


def elsewhere(file: Path, provider: str, device: str) -> tuple[dict, list[str]]:
    """Nodes by provider, and those that compute with more than sizes on another one than was asked for."""
    with tempfile.TemporaryDirectory() as folder:
        made = session(file, provider, profile=os.path.join(folder, "profile"))
        Sequence(made, device, 1, 1).run()
        events = json.loads(Path(made.end_profiling()).read_text())
    counts, foreign = {}, set()
    for event in events:
        args = event.get("args", {})
        where = args.get("provider")
        if event.get("cat") != "Node" or not where:
            continue
        counts[where] = counts.get(where, 0) + 1
        made_of = [(kind, dims) for each in args.get("output_type_shape", []) for kind, dims in each.items()]
        sizes = all(kind in ("int64", "int32", "bool") and np.prod(dims or [1]) <= SIZES for kind, dims in made_of)
        if where != PROVIDERS[provider] and not sizes:
            foreign.add(f"{args.get('op_name')} {event['name'].removesuffix('_kernel_time')} on {where}")
    return counts, sorted(foreign)


def card(provider: str) -> str:
    if provider == "cpu":
        return "CPU, no GPU"
    asked = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def memory(provider: str) -> int | None:
    """MiB that are taken on the card, by everybody."""
    if provider == "cpu":
        return None
    asked = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder that convert wrote with --step-file")
    parser.add_argument("--provider", choices=PROVIDERS, default="cuda")
    parser.add_argument("--prompt", type=int, default=512, help="tokens of the prompt")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--json", type=Path, help="where the figures go as well")
    asked = parser.parse_args()
    if PROVIDERS[asked.provider] not in ort.get_available_providers():
        sys.exit(f"this onnxruntime has no {PROVIDERS[asked.provider]}: pip install onnxruntime-gpu")
    files = {"model": asked.folder / "onnx" / "model.onnx", "step file": asked.folder / "onnx" / "model_step.onnx"}
    result = {"card": card(asked.provider), "onnxruntime": ort.__version__, "rows": {}, "nodes": {}, "elsewhere": []}
    print(f"{result['card']}; onnxruntime {ort.__version__}")

    def row(name: str, run, rounds: int = asked.rounds):
        result["rows"][name] = {**milliseconds(run, rounds), "memory_mib": memory(asked.provider)}
        print(f"{name}: {result['rows'][name]['ms']:.3f} ms")

    for name, file in files.items():
        counts, foreign = elsewhere(file, asked.provider, asked.provider)
        result["nodes"][name] = counts
        result["elsewhere"] += [f"{name}: {each}" for each in foreign]
    row("step, step file", Sequence(session(files["step file"], asked.provider), asked.provider, 1, 1).run)
    if asked.provider == "cuda":
        row("step, step file, CUDA graph", Sequence(session(files["step file"], "cuda", graph=True), "cuda", 1, 1).run)
    whole = session(files["model"], asked.provider)
    row(f"prompt of {asked.prompt}", Sequence(whole, asked.provider, 1, asked.prompt).run, max(3, asked.rounds // 10))
    for batch in asked.batches:
        row(f"step, B = {batch}", Sequence(whole, asked.provider, batch, 1).run)
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2))
    for each in result["elsewhere"]:
        print(f"not on {PROVIDERS[asked.provider]}: {each}", file=sys.stderr)
    return 1 if result["elsewhere"] else 0


if __name__ == "__main__":
    sys.exit(main())
