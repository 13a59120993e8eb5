"""Greedy text from a Triton Inference Server that keeps the state: one request for the prompt, then one for each token.

    python client.py URL MODEL COUNT TOKEN_ID …           prints the ids of COUNT more tokens

For repositories of `longconv-ssm deploy triton` with the strategies oldest and direct. Needs tritonclient[grpc].
"""

import argparse
import uuid

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput


def tensor(name, values):
    array = np.array([values], np.int64)
    value = InferInput(name, list(array.shape), "INT64")
    value.set_data_from_numpy(array)
    return value


def generate(url, model, prompt, count):
    client = InferenceServerClient(url)
    sequence = uuid.uuid4().int % 2**63 + 1
    step, tokens = list(prompt), []
    while len(tokens) < count:
        # The state starts at zero with sequence_start, and is dropped with sequence_end.
        reply = client.infer(
            model,
            [tensor("input_ids", step), tensor("attention_mask", [1] * len(step))],
            sequence_id=sequence,
            sequence_start=not tokens,
            sequence_end=len(tokens) == count - 1,
        )
        step = [int(reply.as_numpy("logits")[0, -1].argmax())]
        tokens += step
    return tokens


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Greedy text from a Triton server that keeps the state.")
    parser.add_argument("url", help="host and port of its gRPC service: localhost:8001")
    parser.add_argument("model", help="name of the model in the repository")
    parser.add_argument("count", type=int, help="how many more tokens")
    parser.add_argument("token_id", type=int, nargs="+", help="the prompt")
    given = parser.parse_args()
    print(*generate(given.url, given.model, given.token_id, given.count))
