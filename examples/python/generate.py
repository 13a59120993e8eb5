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


class Converted:
    """A converted model, driven by docs/state-contract.md: `logits, states = model.step(states, ids, read)`."""

    def __init__(self, path, options=None):
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        # A state starts at zero: axis 0 is the batch; a symbolic axis after it (a length cache) starts at length 0.
        inputs = {v.name: [1] + [d if isinstance(d, int) else 0 for d in v.shape[1:]] for v in self.session.get_inputs()}
        self.optional = {"attention_mask", "num_logits_to_keep"} & set(inputs)
        self.shapes = {name: shape for name, shape in inputs.items() if name.startswith("past_")}
        presents = [name.replace("past_key_values", "present").replace("past_", "present_") for name in self.shapes]
        self.outputs = ["logits", *presents]
        said = self.session.get_modelmeta().custom_metadata_map
        ends = [json.loads(said.get("longconv.claim", "{}")).get("positions"), said.get("longconv.positions")]
        # How many positions prompt and text may fill: what is claimed of the model, and what it has.
        self.positions = min(int(end) for end in [*ends, 2**53] if end is not None)

    def start(self):
        """The states before the first token."""
        return {n: ort.OrtValue.ortvalue_from_numpy(np.zeros(s, np.float32)) for n, s in self.shapes.items()}

    def step(self, states, ids, read):
        """Reads `ids` after the `read` tokens that made `states`; the next token's logits [vocabulary], and the states."""
        binding = self.session.io_binding()
        binding.bind_cpu_input("input_ids", np.array([ids], np.int64))
        if "attention_mask" in self.optional:
            binding.bind_cpu_input("attention_mask", np.ones((1, read + len(ids)), np.int64))
        if "num_logits_to_keep" in self.optional:
            binding.bind_cpu_input("num_logits_to_keep", np.array(1, np.int64))
        for name, state in states.items():
            binding.bind_ortvalue_input(name, state)
        for name in self.outputs:
            binding.bind_output(name)
        self.session.run_with_iobinding(binding)
        logits, *presents = binding.get_outputs()
        return logits.numpy()[0, -1], dict(zip(states, presents))


def generate(path, prompt, count):
    model = Converted(path)
    states, read, step, made = model.start(), 0, prompt, []
    for _ in range(min(count, model.positions - len(prompt))):
        logits, states = model.step(states, step, read)
        read += len(step)
        step = [int(logits.argmax())]
        made += step
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Greedy text from a converted model, with onnxruntime.")
    parser.add_argument("model", help="the .onnx file that longconv-ssm convert wrote")
    parser.add_argument("count", type=int, help="how many more tokens")
    parser.add_argument("token_id", type=int, nargs="+", help="the prompt")
    given = parser.parse_args()
    print(*generate(given.model, given.token_id, given.count))
