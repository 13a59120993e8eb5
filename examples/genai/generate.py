"""Greedy text through ONNX Runtime GenAI, from a folder that `longconv-ssm deploy genai` wrote.

    python generate.py FOLDER COUNT TEXT                  prints the text that follows
    python generate.py FOLDER COUNT --ids TOKEN_ID …      prints the ids of COUNT more tokens
"""

import sys

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
    folder, count, *rest = sys.argv[1:]
    model = og.Model(folder)
    if rest[0] == "--ids":
        print(*generate(model, [int(token) for token in rest[1:]], int(count)))
    else:
        tokenizer = og.Tokenizer(model)
        text = tokenizer.create_stream()
        for token in generate(model, [int(token) for token in tokenizer.encode(" ".join(rest))], int(count)):
            print(text.decode(token), end="", flush=True)
        print()
