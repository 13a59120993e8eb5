"""A transformer (Hugging Face's Llama, random weights), exported with its cache of keys and values:

    python scripts/bench/transformer.py OUT.onnx WIDTH LAYERS HEADS WORDS
"""
import logging, sys, warnings

import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

logging.disable(logging.WARNING); warnings.filterwarnings("ignore"); torch.set_num_threads(1)
out, (width, LAYERS, HEADS, words) = sys.argv[1], map(int, sys.argv[2:])
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(vocab_size=words, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
                                     max_position_embeddings=1 << 16, tie_word_embeddings=True, bos_token_id=None, eos_token_id=None, pad_token_id=None)).eval()


class WithCache(torch.nn.Module):
    """New ids and what is cached of those before -> logits, and what is cached of all."""

    def __init__(self):
        super().__init__()
        self.model = model

    def forward(self, input_ids, *past):
        cache = DynamicCache(config=self.model.config)
        for i in range(LAYERS): cache.update(past[2 * i], past[2 * i + 1], i)
        logits = self.model(input_ids=input_ids, past_key_values=cache, use_cache=True).logits
        return (logits, *(kept for layer in cache.layers for kept in (layer.keys, layer.values)))


names = [f"past_key_values.{i}.{part}" for i in range(LAYERS) for part in ("key", "value")]
past = [torch.randn(1, HEADS, 5, width // HEADS) for _ in names]
seen, time = torch.export.Dim("past_sequence_length", min=2, max=1 << 16), torch.export.Dim("sequence_length", min=1, max=1 << 16)
ids = torch.randint(0, words, (1, 3))
torch.onnx.export(WithCache(), (ids, *past), out, input_names=["input_ids", *names], output_names=["logits", *(n.replace("past_key_values", "present") for n in names)],
                  dynamo=True, opset_version=18, external_data=False, dynamic_shapes=({1: time}, tuple({2: seen} for _ in names)), verbose=False)

# at other sizes it is the module
import onnxruntime
ids, past = torch.randint(0, words, (1, 1)), [torch.randn(1, HEADS, 77, width // HEADS) for _ in names]
feeds = dict(zip(["input_ids", *names], (x.numpy() for x in (ids, *past))))
with torch.no_grad(): wanted = WithCache()(ids, *past)[0].numpy()
apart = abs(onnxruntime.InferenceSession(out).run(["logits"], feeds)[0] - wanted).max()
assert apart < 1e-3, apart
