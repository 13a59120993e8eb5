"""Checks model repositories of `longconv-ssm deploy triton` and prints what it found as JSON.

    python triton_check.py COUNT PROMPTS REPOSITORY/MODEL …      PROMPTS: JSON, lists of token ids

config.pbtxt is parsed with Triton's own protobuf schema. All prompts are continued at the same time through Triton's
protocol and the example's client (states in the server's hands), or with states in the client's hands.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from google.protobuf.json_format import MessageToDict
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import np_to_triton_dtype

from triton_server import Batcher, serve

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "triton"))
import client as example  # noqa: E402


def with_own_states(url, config, prompt, count):
    """Greedy text, the states sent and received as the tensors that they are."""
    connection = InferenceServerClient(url)
    pasts = [value for value in config.input if value.name.startswith("past_")]
    states = {value.name: np.zeros([1, *value.dims], np.float32) for value in pasts}
    step, tokens = np.array([prompt], np.int64), []
    while len(tokens) < count:
        arrays = {"input_ids": step, "attention_mask": np.ones_like(step), **states}
        inputs = [InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype)) for name, array in arrays.items()]
        for value, array in zip(inputs, arrays.values()):
            value.set_data_from_numpy(array)
        reply = connection.infer(config.name, inputs)
        states = {name: reply.as_numpy(name.replace("past_", "present_")) for name in states}
        step = reply.as_numpy("logits")[:, -1:].argmax(-1)
        tokens.append(int(step[0, 0]))
    return tokens


def check(folder, prompts, count):
    batcher = Batcher(folder)
    server, url = serve(batcher)
    config = batcher.config
    generate = (
        (lambda prompt: example.generate(url, config.name, prompt, count))
        if batcher.implicit
        else (lambda prompt: with_own_states(url, config, prompt, count))
    )
    with ThreadPoolExecutor(len(prompts)) as pool:
        texts = list(pool.map(generate, prompts))
    server.stop(None)
    return {
        "config": MessageToDict(config, preserving_proto_field_name=True),
        "texts": texts,
        "largest_batch": max(batcher.batches),
        "left_over": len(batcher.known),
    }


if __name__ == "__main__":
    count, prompts, *folders = sys.argv[1:]
    print(json.dumps([check(folder, json.loads(prompts), int(count)) for folder in folders]))
