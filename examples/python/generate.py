"""Greedy text from a converted model with onnxruntime and numpy alone: states stay in ONNX Runtime's own buffers.

    python generate.py MODEL.onnx COUNT TOKEN_ID …        prints the ids of COUNT more tokens

It ends earlier where the model's claim or its positions do.
"""

import argparse
import json
import os

# No telemetry, unless the variable says otherwise: it is read when the library is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnxruntime as ort


def room(session, prompt):
    """How many tokens can follow: prompt and text together fill what is claimed of the model, and what it has."""
    said = session.get_modelmeta().custom_metadata_map
    ends = [json.loads(said.get("longconv.claim", "{}")).get("positions"), said.get("longconv.positions")]
    return min(int(end) for end in [*ends, 2**53] if end is not None) - len(prompt)


def generate(path, prompt, count):
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    # A state starts at zero: axis 0 is the batch; a symbolic axis after it (a length cache) starts at length 0.
    shapes = {v.name: [1] + [d if isinstance(d, int) else 0 for d in v.shape[1:]] for v in session.get_inputs()}
    states = {n: ort.OrtValue.ortvalue_from_numpy(np.zeros(shapes[n], np.float32)) for n in names if n.startswith("past_")}
    present_of = {n: n.replace("past_key_values", "present").replace("past_", "present_") for n in states}
    step, tokens = np.array([prompt], np.int64), list(prompt)
    for _ in range(min(count, room(session, prompt))):
        binding = session.io_binding()
        binding.bind_cpu_input("input_ids", step)
        if "attention_mask" in names:
            binding.bind_cpu_input("attention_mask", np.ones((1, len(tokens)), np.int64))
        if "num_logits_to_keep" in names:
            binding.bind_cpu_input("num_logits_to_keep", np.array(1, np.int64))
        for name, state in states.items():
            binding.bind_ortvalue_input(name, state)
        for name in ["logits", *present_of.values()]:
            binding.bind_output(name)
        session.run_with_iobinding(binding)
        logits, *presents = binding.get_outputs()
        states = dict(zip(states, presents))
        step = logits.numpy()[:, -1:].argmax(-1)
        tokens.append(int(step[0, 0]))
    return tokens[len(prompt) :]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Greedy text from a converted model, with onnxruntime.")
    parser.add_argument("model", help="the .onnx file that longconv-ssm convert wrote")
    parser.add_argument("count", type=int, help="how many more tokens")
    parser.add_argument("token_id", type=int, nargs="+", help="the prompt")
    given = parser.parse_args()
    print(*generate(given.model, given.token_id, given.count))
