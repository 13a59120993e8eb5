"""Tries whole published language models as they are: does each export, convert, and make its own tokens, with no line changed?

    python scripts/export/networks.py FOLDER [NAME ...]

FOLDER has the checkouts that the user has made, one folder a repository, named as on GitHub, flash-attention among them for its
modules in Python; nothing is fetched or changed. Each network is built small with random weights in a process of its own, exported by
one call of `longconv_export.export`, converted by `longconv-ssm convert`, and asked for tokens by `longconv-ssm generate`: they must be
those of its own generation in PyTorch, with its own recurrences and caches where it has them. Needs what published.py needs, and
transformers. The rotary kernel of flash-attention, which runs on a GPU alone, is stood in for by the same turns in PyTorch.
"""
import json
import subprocess
import sys

from gpu_stand_ins import Places, flash_attention, whole_depth
from published import COMMAND, HERE, STRIPED, Settings, StandIn, at, last_line, over_checkouts

VOCABULARY, WIDTH, TOKENS, PROMPT = 61, 16, 64, 7


def greedily(step, prompt):
    """Tokens, each the likeliest behind all before; step(ids, position) gives the logits of new ids at a position."""
    import torch

    ids, place, made = prompt, 0, []
    with torch.no_grad():
        while len(made) < TOKENS:
            logits = step(ids, place)
            made.append(int(logits[0, -1].argmax()))
            ids, place = torch.tensor([[made[-1]]]), place + ids.shape[1]
    return made


def again(logits):
    """Of a model without a generation of its own: all is read again for each token."""
    import torch

    read = []

    def step(ids, place):
        read.append(ids)
        return logits(torch.cat(read, 1))

    return step


def h3(root, **options):
    """H3's language model, and its generation by recurrence and cache."""
    flash_attention(root.parent)
    whole_depth()
    at(root)
    from src.models.ssm_seq import SSMLMHeadModel

    model = SSMLMHeadModel(WIDTH, 3, 2 * WIDTH, VOCABULARY, ssm_cfg={"mode": "diag", "measure": "diag-lin", "d_state": 8},
                           initializer_cfg={"initializer_range": 0.4}, **options)

    def own(prompt):
        places = Places(PROMPT + TOKENS)

        def step(ids, place):
            places.seqlen_offset = places.sequence_len_offset = place
            return model(ids, inference_params=places).logits

        return greedily(step, prompt)

    return model, own


def safari(root, **options):
    """safari's Hyena language model; it has no generation of its own."""
    flash_attention(root.parent)
    whole_depth()
    at(root)
    from src.models.sequence.long_conv_lm import ConvLMHeadModel

    layer = {"_name_": "hyena", "emb_dim": 3, "filter_order": 16, "l_max": 512, "order": 2}
    model = ConvLMHeadModel(WIDTH, 3, 2 * WIDTH, VOCABULARY, layer=layer, initializer_cfg={"initializer_range": 0.4}, **options)
    return model, lambda prompt: greedily(again(lambda ids: model(ids)[0].logits), prompt)


def safari_simple(root, **options):
    whole_depth()
    at(root)
    from src.models.sequence.simple_lm import SimpleLMHeadModel

    layer = {"_name_": "hyena", "emb_dim": 3, "filter_order": 16, "l_max": 512, "order": 2}
    model = SimpleLMHeadModel(WIDTH, 3, 2 * WIDTH, VOCABULARY, layer=layer, initializer_cfg={"initializer_range": 0.4}, **options)
    return model, lambda prompt: greedily(again(lambda ids: model(ids)[0].logits), prompt)


def stripedhyena(root, attention=(1, 3), groups=1):
    """StripedHyena, and its own Generator with its recurrences and cache."""
    flash_attention(root.parent)
    at(root)
    import torch
    from stripedhyena.generation import Generator
    from stripedhyena.model import StripedHyena

    settings = Settings(STRIPED, hidden_size=WIDTH, num_filters=WIDTH, vocab_size=VOCABULARY, num_attention_heads=4, num_layers=4,
                        attn_layer_idxs=list(attention), hyena_layer_idxs=[k for k in range(4) if k not in attention], state_size=4,
                        proj_groups=groups, use_flash_attn=False, use_flashfft=False, tie_embeddings=False, params_dtype=torch.float32,
                        mlp_dtype=torch.float32, attn_block_dtype=torch.float32, hyena_block_dtype=torch.float32,
                        max_seqlen=512, qkv_proj_bias=False, mha_out_proj_bias=False, rotary_emb_base=500000)
    model = StripedHyena(settings)
    for name, parameter in model.named_parameters():
        if name.endswith("poles"):
            # inside the unit circle, as a trained model has them
            size, angle = 0.3 + 0.65 * torch.rand(parameter.shape[:-1]), 3 * torch.rand(parameter.shape[:-1])
            parameter.data = torch.stack([size * angle.cos(), size * angle.sin()], -1)

    class Characters:
        eos, vocab_size = 0, VOCABULARY
        detokenize_batch = staticmethod(lambda ids, **_: [""] * len(ids))

    def own(prompt):
        made, _ = Generator(model, Characters(), top_k=1).generate("cpu", input_ids=prompt, num_tokens=TOKENS, cached_generation=True)
        return made[0].tolist()

    return model, own


def transformer(name, config, **options):
    def build(root):
        import transformers

        sizes = {"vocab_size": VOCABULARY, "initializer_range": 0.4, "tie_word_embeddings": False, "bos_token_id": None,
                 "eos_token_id": None, "pad_token_id": None, "use_cache": False}
        model = getattr(transformers, name)(getattr(transformers, config)(**{**sizes, **options}))

        def own(prompt):
            import torch

            made = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=TOKENS, do_sample=False, use_cache=True)
            return made[0, prompt.shape[1]:].tolist()

        return model, own

    return build


SMALL = {"hidden_size": WIDTH, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
         "max_position_embeddings": 512}
STACK = dict(attn_layer_idx=[1], attn_cfg={"num_heads": 4, "causal": True})
# name: repository (none: a package), its builder, further arguments of export
NETWORKS = {
    "H3 language model": ("H3", h3, {}),
    "H3 language model, attention in layer 1": ("H3", lambda root: h3(root, **STACK), {}),
    "safari ConvLMHeadModel of Hyena": ("safari", safari, {"longest": 512}),
    "safari ConvLMHeadModel of Hyena, attention in layer 1": ("safari", lambda root: safari(root, **STACK), {"longest": 512}),
    "safari SimpleLMHeadModel of Hyena, attention in layer 1": ("safari", lambda root: safari_simple(root, **STACK), {"longest": 512}),
    "StripedHyena": ("stripedhyena", stripedhyena, {}),
    "StripedHyena, grouped heads": ("stripedhyena", lambda root: stripedhyena(root, groups=2), {}),
    "StripedHyena without attention": ("stripedhyena", lambda root: stripedhyena(root, ()), {}),
    "transformers GPT-2": ("", transformer("GPT2LMHeadModel", "GPT2Config", n_positions=512, n_embd=WIDTH, n_layer=2, n_head=2), {"longest": 512}),
    "transformers GPT-NeoX": ("", transformer("GPTNeoXForCausalLM", "GPTNeoXConfig", hidden_size=WIDTH, intermediate_size=24,
                                             num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=512), {}),
    "transformers GPT-J": ("", transformer("GPTJForCausalLM", "GPTJConfig", n_positions=512, n_embd=WIDTH, n_layer=2, n_head=2, rotary_dim=4), {}),
    "transformers Bloom": ("", transformer("BloomForCausalLM", "BloomConfig", hidden_size=WIDTH, n_layer=2, n_head=4), {}),
    "transformers Falcon": ("", transformer("FalconForCausalLM", "FalconConfig", hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4), {}),
    "transformers OPT": ("", transformer("OPTForCausalLM", "OPTConfig", hidden_size=WIDTH, ffn_dim=24, num_hidden_layers=2, num_attention_heads=4,
                                       max_position_embeddings=512, word_embed_proj_dim=WIDTH, init_std=0.4), {"longest": 512}),
    "transformers MPT": ("", transformer("MptForCausalLM", "MptConfig", d_model=WIDTH, n_layers=2, n_heads=4, max_seq_len=512), {}),
    "transformers Llama": ("", transformer("LlamaForCausalLM", "LlamaConfig", **SMALL), {}),
    "transformers LFM2": ("", transformer("Lfm2ForCausalLM", "Lfm2Config", **{**SMALL, "num_hidden_layers": 3}, block_multiple_of=8, conv_L_cache=3,
                                         layer_types=["conv", "full_attention", "conv"]), {}),
}


def one(folder, name, out):
    """Builds, exports, and generates; prints {"notes", "prompt", "tokens"}."""
    import torch

    sys.meta_path.append(StandIn())
    sys.path.insert(0, str(HERE))
    from longconv_export import export

    repository, build, options = NETWORKS[name]
    torch.manual_seed(5)
    model, own = build(folder / repository)
    prompt = torch.randint(0, VOCABULARY, (1, PROMPT), generator=torch.Generator().manual_seed(1))
    model.eval()
    tokens = own(prompt)
    notes = export(model, torch.randint(0, VOCABULARY, (2, 64)), out, **options)
    print(json.dumps({"notes": notes, "prompt": prompt[0].tolist(), "tokens": tokens}))


def attempt(folder, name, out):
    """(exports, converts, makes its own tokens, what is to be known) of one network."""
    call = [sys.executable, __file__, str(folder), "--one", name, "--out", str(out)]
    exported = subprocess.run(call, capture_output=True, text=True)
    if exported.returncode:
        return False, False, False, last_line(exported.stderr)
    made = json.loads(exported.stdout.strip().splitlines()[-1])
    target = out.with_suffix("")
    converted = subprocess.run(["node", COMMAND, "convert", out, "-o", target, "--horizon", "512", "--force"], capture_output=True, text=True)
    if converted.returncode:
        return True, False, False, "; ".join([*made["notes"], " ".join(converted.stderr.split())])
    call = ["node", COMMAND, "generate", target, "--ids", ",".join(map(str, made["prompt"])), "-n", str(TOKENS), "--json"]
    generated = subprocess.run(call, capture_output=True, text=True)
    if generated.returncode:
        return True, True, False, "; ".join([*made["notes"], " ".join(generated.stderr.split())])
    same = json.loads(generated.stdout)["tokens"] == made["tokens"]
    return True, True, same, "; ".join(made["notes"])


if __name__ == "__main__":
    columns = ["exports", "converts", f"{TOKENS} greedy tokens as its own"]
    over_checkouts(__doc__, NETWORKS, "network", "networks", columns, one, attempt)
