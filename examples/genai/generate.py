"""Greedy text through ONNX Runtime GenAI, from a folder that `longconv-ssm deploy genai` wrote.

    python generate.py FOLDER COUNT TEXT                  prints the text that follows
    python generate.py FOLDER COUNT --ids TOKEN_ID …      prints the ids of COUNT more tokens
"""

import argparse
import os

# No telemetry, unless the variable says otherwise: it is read when the library is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime_genai as og


def generate(model, prompt, count):
    params = og.GeneratorParams(model)
    params.set_search_options(max_length=len(prompt) + count, do_sample=False)
    generator = og.Generator(model, params)
    generator.append_tokens(prompt)
    while not generator.is_done():
        generator.generate_next_token()
        yield int(generator.get_next_tokens()[0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Greedy text from a converted model, with ONNX Runtime GenAI.")
    parser.add_argument("folder", help="the folder that longconv-ssm deploy genai wrote")
    parser.add_argument("count", type=int, help="how many more tokens")
    parser.add_argument("text", nargs="*", help="the prompt")
    parser.add_argument("--ids", type=int, nargs="+", metavar="TOKEN_ID", help="the prompt as token ids, instead of text")
    given = parser.parse_args()
    if bool(given.text) == bool(given.ids):
        parser.error("give either TEXT or --ids")
    model = og.Model(given.folder)
    if given.ids:
        print(*generate(model, given.ids, given.count))
    else:
        tokenizer = og.Tokenizer(model)
        text = tokenizer.create_stream()
        for token in generate(model, [int(token) for token in tokenizer.encode(" ".join(given.text))], given.count):
            print(text.decode(token), end="", flush=True)
        print()
