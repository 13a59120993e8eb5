"""A stream of tokens that can go on anywhere: it begins from a snapshot, and gives snapshots. Nothing here knows of Ray.

A snapshot is a dict of plain values: `states` (arrays by name; None before the first token), `read` (how many tokens made
them), `unread` (ids still to be read), `made` (how many tokens the stream has made), `random` (the sampler's generator).
"""

import json
import pathlib
import sys

import numpy as np

sys.path.append(str(pathlib.Path(__file__).parent.parent / "python"))
from generate import Converted, ort


def beginning(ids, seed):
    """The snapshot before the first token."""
    return {"states": None, "read": 0, "unread": ids, "made": 0, "random": np.random.PCG64(seed).state}


def choose(logits, temperature, random):
    """The next token: the likeliest at temperature 0, else drawn, with one number of `random` for each token."""
    if temperature == 0:
        return int(logits.argmax())
    weights = np.exp((logits.astype(np.float64) - logits.max()) / temperature).cumsum()
    return int(np.searchsorted(weights, random.random() * weights[-1], side="right"))


class Folder(Converted):
    """The model of a folder that longconv-ssm convert wrote, and the tokens that end its texts."""

    def __init__(self, folder):
        folder, options = pathlib.Path(folder), ort.SessionOptions()
        # One core for each replica: more of them is what more replicas are for.
        options.intra_op_num_threads = 1
        super().__init__(folder / "onnx/model.onnx", options)
        said = [folder / name for name in ("config.json", "generation_config.json") if (folder / name).exists()]
        ends = [json.loads(file.read_text("utf8")).get("eos_token_id") for file in said]
        self.ends = {end for each in ends for end in (each if isinstance(each, list) else [each])}


class Stream:
    """Goes on from a snapshot: `next()` until `finish` says why it ended."""

    def __init__(self, model, snapshot, max_tokens, temperature):
        self.model, self.max_tokens, self.temperature = model, max_tokens, temperature
        self.read, self.unread, self.made = (snapshot[key] for key in ("read", "unread", "made"))
        self.random = np.random.Generator(np.random.PCG64())
        self.random.bit_generator.state = snapshot["random"]
        states = snapshot["states"]
        # Copied: the array belongs to whoever sent it.
        copies = states and {name: ort.OrtValue.ortvalue_from_numpy(state.copy()) for name, state in states.items()}
        self.states = copies or model.start()
        self.finish = None
        if self.room() < 1:
            raise ValueError(f"the model ends at {model.positions} positions, and the prompt leaves no room for a token")

    def room(self):
        return self.model.positions - self.read - len(self.unread)

    def next(self):
        """One more token."""
        logits, self.states = self.model.step(self.states, self.unread, self.read)
        token = choose(logits, self.temperature, self.random)
        self.read += len(self.unread)
        self.unread = [token]
        self.made += 1
        if token in self.model.ends:
            self.finish = "stop"
        elif self.made >= self.max_tokens:
            self.finish = "length"
        elif self.room() < 1:
            self.finish = "reach"
        return token

    def snapshot(self):
        states = {name: state.numpy() for name, state in self.states.items()}
        random = self.random.bit_generator.state
        return {"states": states, "read": self.read, "unread": self.unread, "made": self.made, "random": random}
