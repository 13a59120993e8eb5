"""Untouched language models of Hugging Face transformers, at small size with random weights, exported without a cache.

    python test/models/make/transformers_lm.py test/models/transformers [NAME …]

Writes NAME.onnx and NAME.json: a prompt, and the tokens that the model's own cached generation makes of it, greedily.
"""
import json
import pathlib
import sys

import onnx
import torch
from transformers import (GPT2Config, GPT2LMHeadModel, Lfm2Config, Lfm2ForCausalLM, LlamaConfig, LlamaForCausalLM, MistralConfig,
                          MistralForCausalLM, OPTConfig, OPTForCausalLM)

VOCABULARY = 61
TOKENS = 64


def gpt2():
    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_positions=128, n_embd=16, n_layer=2, n_head=2,
                                      initializer_range=0.4, tie_word_embeddings=False, bos_token_id=None, eos_token_id=None))


def llama():
    return LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                                        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
                                        initializer_range=0.4, tie_word_embeddings=False, bos_token_id=None, eos_token_id=None, pad_token_id=None))


def mistral():
    return MistralForCausalLM(MistralConfig(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                                            num_attention_heads=4, num_key_value_heads=2, head_dim=4, sliding_window=12,
                                            max_position_embeddings=512, initializer_range=0.4, tie_word_embeddings=False,
                                            bos_token_id=None, eos_token_id=None, pad_token_id=None))


def lfm2():
    return Lfm2ForCausalLM(Lfm2Config(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, num_hidden_layers=3,
                                      num_attention_heads=4, num_key_value_heads=2, block_multiple_of=8, conv_L_cache=3,
                                      layer_types=["conv", "full_attention", "conv"], initializer_range=0.4, tie_word_embeddings=False,
                                      bos_token_id=None, eos_token_id=None, pad_token_id=None))


def opt():
    return OPTForCausalLM(OPTConfig(vocab_size=VOCABULARY, hidden_size=16, ffn_dim=24, num_hidden_layers=2, num_attention_heads=4,
                                    max_position_embeddings=128, word_embed_proj_dim=16, init_std=0.4, tie_word_embeddings=False,
                                    bos_token_id=None, eos_token_id=None, pad_token_id=None))


class Logits(torch.nn.Module):
    """The model with its logits as the only output."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask=None, position_ids=None):
        return self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, use_cache=False).logits


# what is exported, and the inputs that it takes beside its ids
EXPORTS = {
    "gpt2": (gpt2, ()),
    "llama": (llama, ()),
    "lfm2": (lfm2, ()),
    "gpt2-mask": (gpt2, ("attention_mask", "position_ids")),
    "llama-mask": (llama, ("attention_mask",)),
    "mistral-mask": (mistral, ("attention_mask",)),
    # its positions are the running sum of the mask
    "opt-mask": (opt, ("attention_mask",)),
}


def without_traces(file):
    """Stack traces are most of a small file."""
    model = onnx.load(file)
    for each in [*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, model.graph]:
        each.ClearField("metadata_props")
        each.ClearField("doc_string")
    onnx.save(model, file)


def main(folder, *names):
    target = pathlib.Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name, (make, beside) in EXPORTS.items():
        if names and name not in names:
            continue
        torch.manual_seed(5)
        model = make().eval()
        prompt = torch.randint(0, VOCABULARY, (1, 7), generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            made = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=TOKENS, do_sample=False,
                                  use_cache=True)
        inputs = ("input_ids", *beside)
        sizes = {0: torch.export.Dim("batch_size"), 1: torch.export.Dim("sequence_length")}
        example = torch.randint(0, VOCABULARY, (2, 9))
        examples = {"attention_mask": torch.ones_like(example), "position_ids": torch.arange(9).repeat(2, 1)}
        program = torch.onnx.export(Logits(model).eval(), (example, *(examples[each] for each in beside)), dynamo=True,
                                    opset_version=20, dynamic_shapes={each: sizes for each in inputs}, input_names=list(inputs),
                                    output_names=["logits"], verbose=False)
        program.save(str(target / f"{name}.onnx"), external_data=False)
        without_traces(target / f"{name}.onnx")
        (target / f"{name}.json").write_text(json.dumps({
            "prompt": prompt[0].tolist(), "tokens": made[0, prompt.shape[1]:].tolist()}) + "\n")
        print(name, made[0].tolist(), flush=True)


main(*sys.argv[1:])
