"""Where the continuous batching engine of ONNX Runtime GenAI 0.18 stops with a model that has no attention cache.

    python engine.py FOLDER TOKEN_ID …        prints what each configuration of the engine answers

`engine.dynamic_batching` pages an attention cache and admits fixed states only beside one; without it the engine
batches statically and fails on the first step. `og.Generator` (generate.py) is the way to run these models.
"""

import argparse
import json
import os

# No telemetry, unless the variable says otherwise: it is read when the library is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime_genai as og

DYNAMIC = {"engine": {"dynamic_batching": {"block_size": 16, "num_blocks": 64, "max_batch_size": 4}}}
STATES = {
    "inputs": {
        "past_conv_names": "past_key_values.%d.conv_state",
        "past_recurrent_names": "past_key_values.%d.recurrent_state",
    },
    "outputs": {
        "present_conv_names": "present.%d.conv_state",
        "present_recurrent_names": "present.%d.recurrent_state",
    },
}


def groups(layers):
    kinds = [{"kind": kind, "layer_ids": list(range(layers))} for kind in ("fixed_conv", "fixed_recurrent")]
    return {**DYNAMIC, "model": {"decoder": {"state_groups": kinds, **STATES}}}


def attempt(folder, overlay, prompt):
    config = og.Config(folder)
    config.overlay(json.dumps(overlay))
    try:
        engine = og.Engine(og.Model(config))
        request = engine.create_request()
        options = og.TurnOptions(request)
        options.set_max_generated_tokens(8)
        request.begin_turn(prompt, options)
        events = engine.create_event_buffer(8)
        tokens = []
        while engine.has_pending_requests():
            for event in engine.run(events):
                if event.token is None:
                    return f"{event.error_code.name} after {len(tokens)} tokens"
                tokens.append(event.token)
        return f"tokens {tokens}"
    except RuntimeError as error:
        return str(error)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What each configuration of og.Engine answers.")
    parser.add_argument("folder", help="the folder that longconv-ssm deploy genai wrote")
    parser.add_argument("token_id", type=int, nargs="+", help="the prompt")
    given = parser.parse_args()
    with open(f"{given.folder}/genai_config.json", encoding="utf8") as file:
        layers = json.load(file)["model"]["decoder"]["num_hidden_layers"]
    for name, overlay in {"static": {}, "dynamic": DYNAMIC, "dynamic, fixed states": groups(layers)}.items():
        print(f"{name}\t{attempt(given.folder, overlay, given.token_id)}")
