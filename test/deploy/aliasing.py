"""Runs recurrent models with past and present state in the same buffer, and says where that changes anything.

    python aliasing.py MODEL.onnx …

Every model is fed the same random inputs twice, for batch sizes 1 and 3, in parts of 1, 2 and 7 tokens and mixed: once
with a new buffer for every present state, once with each past and present state bound to one OrtValue (ONNX Runtime's
IO binding). All outputs and final states must be equal, bit for bit, with graph optimisations on and off, and with
nodes run in sequence and in parallel. Needs numpy and onnxruntime.
"""

import sys
from itertools import product

import numpy as np
import onnxruntime as ort

PARTS = {"1": [1] * 6, "2": [2] * 4, "7": [7] * 3, "mixed": [7, 1, 2, 40, 1, 7, 1]}
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}


def array_for(value, batch, length, total, random):
    symbols = {"batch_size": batch, "sequence_length": length, "total_length": total}
    shape = [symbols[dim] if isinstance(dim, str) else dim for dim in value.shape]
    if value.name.startswith("past_"):
        return np.zeros(shape, TYPES[value.type])
    if value.name == "num_logits_to_keep":
        return np.array(0, np.int64)
    if value.name == "attention_mask":
        return np.ones(shape, np.int64)
    noise = random.standard_normal(shape)
    return np.abs(noise * 9).astype(np.int64) if value.type == "tensor(int64)" else noise.astype(TYPES[value.type])


def run(session, batch, parts, aliased):
    """Outputs of every part and the states after the last."""
    random = np.random.default_rng(batch)
    pasts = [value for value in session.get_inputs() if value.name.startswith("past_")]
    present_of = {past.name: past.name.replace("past_", "present_", 1) for past in pasts}
    others = [value.name for value in session.get_outputs() if value.name not in present_of.values()]
    assert len(others) + len(pasts) == len(session.get_outputs()), "a past state has no present state"
    states = {past.name: ort.OrtValue.ortvalue_from_numpy(array_for(past, batch, 0, 0, random)) for past in pasts}
    results = []
    total = 0
    for length in parts:
        total += length
        binding = session.io_binding()
        for value in session.get_inputs():
            if value.name not in states:
                array = ort.OrtValue.ortvalue_from_numpy(array_for(value, batch, length, total, random))
                binding.bind_ortvalue_input(value.name, array)
        kept = {}
        for past, state in states.items():
            kept[past] = state if aliased else ort.OrtValue.ortvalue_from_numpy(np.zeros_like(state.numpy()))
            binding.bind_ortvalue_input(past, state)
            binding.bind_ortvalue_output(present_of[past], kept[past])
        for name in others:
            binding.bind_output(name)
        session.run_with_iobinding(binding)
        results += [value.numpy().copy() for value in binding.get_outputs()[len(states) :]]
        states = kept
    return results + [state.numpy().copy() for state in states.values()]


def sessions(path):
    levels = ort.GraphOptimizationLevel
    modes = ort.ExecutionMode
    for level, mode in product([levels.ORT_ENABLE_ALL, levels.ORT_DISABLE_ALL], [modes.ORT_SEQUENTIAL, modes.ORT_PARALLEL]):
        options = ort.SessionOptions()
        options.graph_optimization_level = level
        options.execution_mode = mode
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        yield f"{level.name} {mode.name}", ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def main(paths):
    for path in paths:
        differing = []
        for setting, session in sessions(path):
            for batch, (name, parts) in product([1, 3], PARTS.items()):
                separate = run(session, batch, parts, False)
                shared = run(session, batch, parts, True)
                if not all(np.array_equal(a, b) for a, b in zip(separate, shared, strict=True)):
                    differing.append(f"{setting}, batch {batch}, parts {name}")
        print(f"{path}\t{'; '.join(differing) or 'equal'}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
