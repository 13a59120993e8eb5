"""Trains the hybrid on text that the demo model writes, to say what the demo says of it (distillation).

    longconv-ssm convert test/models/demo/model.onnx -o demo/
    python test/models/make/train_hybrid.py test/models/demo demo/onnx/model.onnx OUT

So nothing is needed but the demo's folder, and its held-back text stays held back. The layers that both have begin with the
demo's weights, the attention with random ones. One thread, so that the same versions make the same weights.
"""
import argparse, json, math, time
from pathlib import Path
import numpy as np, onnx, onnxruntime, torch
from onnx import numpy_helper
from torch.nn import functional as F
from demo_weights import demo
from hybrid import Hybrid

p = argparse.ArgumentParser()
p.add_argument("demo", type=Path); p.add_argument("converted", type=Path); p.add_argument("out", type=Path)
p.add_argument("--steps", type=int, default=120); p.add_argument("--batch", type=int, default=4); p.add_argument("--length", type=int, default=512)
p.add_argument("--rows", type=int, default=64); p.add_argument("--written", type=int, default=1024, help="tokens of each row")
a = p.parse_args(); torch.set_num_threads(1); torch.manual_seed(0); a.out.mkdir(exist_ok=True, parents=True)


def write(rows, count):
    """[rows, count] tokens: the converted demo, sampled at temperature 1, each row from a token of its own."""
    options = onnxruntime.SessionOptions(); options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(a.converted), options, providers=["CPUExecutionProvider"])
    random, names = np.random.default_rng(0), [o.name for o in session.get_outputs()]
    # a symbolic axis behind the batch is that of a length cache, which starts at length 0
    states = {i.name: np.zeros([rows, *(d if isinstance(d, int) else 0 for d in i.shape[1:])], np.float32) for i in session.get_inputs() if i.name.startswith("past_")}
    present = {name: name.replace("past_key_values", "present").replace("past_", "present_") for name in states}
    ids, text = random.integers(0, 2048, (rows, 1)), []
    for at in range(count):
        text.append(ids)
        got = dict(zip(names, session.run(names, dict(states, input_ids=ids, attention_mask=np.ones((rows, at + 1), np.int64), num_logits_to_keep=np.array(1)))))
        states = {name: got[present[name]] for name in states}
        ids = (got["logits"][:, -1] + random.gumbel(size=(rows, 2048))).argmax(-1)[:, None]
    return torch.from_numpy(np.concatenate(text, 1))


def held_back(model):
    """Loss on the demo's held-back text, as train.py computes it, and the share of positions where the demo's first choice is the model's."""
    ids = torch.from_numpy(numpy_helper.to_array(onnx.load_tensor(a.demo / "valid_ids.pb")).copy()).flatten()
    n, losses, same = a.length, [], []
    with torch.no_grad():
        for at in range(0, len(ids) - 1 - n, n):
            logits, x = model(ids[at:at + n][None])[0], ids[at:at + n][None]
            losses.append(F.cross_entropy(logits, ids[at + 1:at + n + 1]))
            same.append((logits.argmax(-1) == teacher(x)[0].argmax(-1)).float().mean())
    return torch.stack(losses).mean().item(), torch.stack(same).mean().item()


teacher = demo(a.demo)
model = Hybrid(**teacher.config)
kept = {name: value for name, value in teacher.state_dict().items() if not name.startswith(f"mixers.{model.config['attention']}.")}
model.load_state_dict(kept, strict=False)
t0 = time.time(); text = write(a.rows, a.written); print("written", text.numel(), round(time.time() - t0), flush=True)
new = set(model.mixers[model.config["attention"]].parameters())
groups = [dict(params=[w for w in model.parameters() if w not in new], peak=1e-3), dict(params=list(new), peak=3e-3)]
opt, run = torch.optim.AdamW(groups, weight_decay=0.01, betas=(0.9, 0.98)), 0
for i in range(a.steps):
    share = min(1, (i + 1) / 20) * (0.5 * (1 + math.cos(math.pi * i / a.steps)) + 0.01)
    for g in opt.param_groups: g["lr"] = g["peak"] * share
    x = torch.stack([text[r, s:s + a.length] for r, s in zip(torch.randint(0, a.rows, (a.batch,)), torch.randint(0, a.written - a.length + 1, (a.batch,)))])
    with torch.no_grad(): wanted = teacher(x).flatten(0, 1).log_softmax(-1)
    loss = F.kl_div(model(x).flatten(0, 1).log_softmax(-1), wanted, reduction="batchmean", log_target=True)
    opt.zero_grad(); loss.backward(); torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0); opt.step()
    run = loss.item() if i == 0 else 0.9 * run + 0.1 * loss.item()
    if (i + 1) % 10 == 0: print(i + 1, round(time.time() - t0), round(run, 4), flush=True)
# as the file has them: export_hybrid.py stores matrices in half precision
with torch.no_grad():
    for weight in model.parameters():
        if weight.numel() >= 4096: weight.copy_(weight.half())
model.eval(); loss, agreement = held_back(model)
(a.out / "training.json").write_text(json.dumps(dict(model.config, length=a.length, steps=a.steps, valid_loss=loss, valid_ppl=math.exp(loss), agreement_with_demo=agreement), indent=1) + "\n")
print((a.out / "training.json").read_text())
torch.save(dict(config=model.config, state=model.state_dict()), a.out / "model.pt")
