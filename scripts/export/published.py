"""Tries published modules as they are: does each export, and convert, with no line changed?

    python scripts/export/published.py FOLDER [NAME ...]

FOLDER has the checkouts that the user has made, one folder a repository, named as on GitHub. Nothing is fetched, and nothing
in them is changed. Each module runs in a process of its own, is built small (its own arguments alone), exported by one call of
`longconv_export.export`, and converted by `longconv-ssm convert`, which compares it with the export. Needs einops, scipy,
opt_einsum and omegaconf; other packages that a file imports but its modules do not use are stood in for, and named.
"""
import argparse
import importlib.abc
import importlib.machinery
import importlib.util
import json
import subprocess
import sys
import types
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMMAND = HERE.parents[1] / "dist" / "src" / "cli" / "main.js"
# Imported at the head of published files, and not used by what is exported here.
UNUSED = ["pytorch_lightning", "IPython", "hydra", "wandb", "rich", "matplotlib", "pandas", "datasets", "torchvision", "tqdm", "flash_attn_2_cuda"]
WIDTH = 8


def load(path, name):
    """The module of one file."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def at(root):
    sys.path.insert(0, str(root))


class Settings(dict):
    """A configuration as the code of StripedHyena reads it."""

    def __getattr__(self, name):
        if name not in self:
            raise AttributeError(name)
        return self[name]


def tno(root, **options):
    at(root)
    from tnn_pytorch.tno import Tno

    return Tno(h=2, dim=4, rpe_dim=8, causal=True, **options)


def tnn_layer(root):
    at(root)
    from tnn_pytorch import TnnLayer

    return TnnLayer(dim=WIDTH, num_heads=1, rpe_embedding=8, glu_dim=WIDTH, causal=True, use_decay=True)


def etsc(root):
    """The file ends with measurements on a GPU: its imports and classes alone."""
    import ast

    at(root)
    tree = ast.parse((root / "speed_memory_test.py").read_text())
    tree.body = [each for each in tree.body if isinstance(each, (ast.Import, ast.ImportFrom, ast.ClassDef))]
    names = {}
    exec(compile(tree, str(root / "speed_memory_test.py"), "exec"), names)

    class Fft(names["Tno"]):
        """The file calls forward_fft by its name."""

        def forward(self, x):
            return self.forward_fft(x)

    return Fft(h=1, dim=WIDTH, rpe_dim=8)


def hyena(root, **options):
    at(root)
    from src.models.sequence.hyena import HyenaOperator

    return HyenaOperator(WIDTH, l_max=512, filter_order=8, **options)


def safari_long_conv(root):
    at(root)
    from src.models.sequence.long_conv import LongConv

    return LongConv(WIDTH, l_max=512, transposed=False)


def safari_h3(root, **options):
    at(root)
    from src.models.sequence.h3 import H3

    return H3(WIDTH, d_state=8, **options)


def safari_h3_conv(root):
    at(root)
    from src.models.sequence.h3_conv import H3Conv

    return H3Conv(WIDTH, l_max=512)


def h3(root, **options):
    at(root)
    from src.models.ssm.h3 import H3

    return H3(WIDTH, d_state=8, **options)


def s4d(root):
    at(root)
    import torch

    # the one import from its project that the file has
    sys.modules["src"] = types.ModuleType("src")
    sys.modules["src.models"] = types.ModuleType("src.models")
    sys.modules["src.models.nn"] = types.ModuleType("src.models.nn")
    sys.modules["src.models.nn"].DropoutNd = torch.nn.Dropout
    return load(root / "models" / "s4" / "s4d.py", "s4d").S4D(WIDTH, d_state=8, transposed=False)


def s4(root, **options):
    return load(root / "models" / "s4" / "s4.py", "s4").S4Block(WIDTH, d_state=8, transposed=False, **options)


def sgconv(root, **options):
    return load(root / "gconv_standalone.py", "gconv_standalone").GConv(WIDTH, l_max=512, transposed=False, **options)


def gss(root):
    at(root)
    from gated_state_spaces_pytorch.gss import GSS

    return GSS(dim=WIDTH, dss_kernel_N=8, dss_kernel_H=WIDTH)


def dsconv(root):
    at(root)
    from gated_state_spaces_pytorch.dsconv import GatedDsConv

    return GatedDsConv(dim=WIDTH, heads=2, dim_dsconv=WIDTH)


STRIPED = dict(hidden_size=WIDTH, num_filters=WIDTH, num_attention_heads=2, short_filter_length=3, short_filter_bias=True,
               state_size=2, eps=1e-5, inner_mlp_size=16, mlp_init_method=None, vocab_size=61, inner_size_multiple_of=1,
               make_vocab_size_divisible_by=1, model_parallel_size=1, hyena_filter_groups=1, use_flash_rmsnorm=False)


def stripedhyena(root):
    at(root)
    from stripedhyena.model import ParallelHyenaFilter
    import torch

    class Block(torch.nn.Module):
        """The filter takes three projections of its input."""

        def __init__(self):
            super().__init__()
            self.project = torch.nn.Linear(WIDTH, 3 * WIDTH)
            self.filter = ParallelHyenaFilter(Settings(STRIPED), 0)

        def forward(self, u):
            return self.filter(self.project(u))[0]

    block = Block()
    # poles inside the unit circle, as a trained model has them
    block.filter.poles.data[..., 0] = 0.9
    return block


def vortex(root, length=None, groups=WIDTH):
    at(root)
    from vortex.model.model import HyenaCascade
    import torch

    class Block(torch.nn.Module):
        """The cascade takes three projections of its input."""

        def __init__(self):
            super().__init__()
            settings = Settings(STRIPED, interleave=True, column_split_hyena=False, short_filter_bias=False)
            self.project = torch.nn.Linear(WIDTH, 3 * WIDTH)
            self.filter = HyenaCascade(settings, 0, hyena_filter_groups=groups, fir_inner_filter_length=length)

        def forward(self, u):
            return self.filter(self.project(u))[0]

    block = Block()
    if length is None:
        block.filter.log_poles.data = -block.filter.log_poles.data.abs()
    return block


TNN, S4, GSS = "tnn-pytorch", "s4", "gated-state-spaces-pytorch"
# name: repository, its builder, the example, the axis of time, further arguments of export: of what has an `l_max`, that it is the
# longest (Hyena cuts its input there, without a word)
PUBLISHED = {
    "TNN Tno": (TNN, tno, (2, 2, 64, 4), 2, {}),
    "TNN Tno, decay": (TNN, lambda root: tno(root, use_decay=True), (2, 2, 64, 4), 2, {}),
    "TNN TnnLayer": (TNN, tnn_layer, (2, 64, WIDTH), 1, {}),
    "ETSC Tno": ("ETSC-Exact-Toeplitz-to-SSM-Conversion", etsc, (2, 1, 64, WIDTH), 2, {}),
    "safari HyenaOperator": ("safari", hyena, (2, 64, WIDTH), 1, {"longest": 512}),
    "safari HyenaOperator, order 3": ("safari", lambda root: hyena(root, order=3), (2, 64, WIDTH), 1, {"longest": 512}),
    "safari LongConv": ("safari", safari_long_conv, (2, 64, WIDTH), 1, {"longest": 512}),
    "safari H3": ("safari", safari_h3, (2, 64, WIDTH), 1, {}),
    "safari H3Conv": ("safari", safari_h3_conv, (2, 64, WIDTH), 1, {}),
    "hyena-dna HyenaOperator": ("hyena-dna", hyena, (2, 64, WIDTH), 1, {"longest": 512}),
    "StripedHyena ParallelHyenaFilter": ("stripedhyena", stripedhyena, (2, 64, WIDTH), 1, {}),
    "S4 S4D": (S4, s4d, (2, 64, WIDTH), 1, {}),
    "S4 S4Block diag": (S4, lambda root: s4(root, mode="diag"), (2, 64, WIDTH), 1, {}),
    "S4 S4Block diag, l_max": (S4, lambda root: s4(root, mode="diag", l_max=512), (2, 64, WIDTH), 1, {"longest": 512}),
    "S4 S4Block dplr": (S4, lambda root: s4(root, mode="dplr"), (2, 64, WIDTH), 1, {"longest": 512}),
    "S4 S4Block dplr, l_max": (S4, lambda root: s4(root, mode="dplr", l_max=512), (2, 64, WIDTH), 1, {"longest": 512}),
    "S4 S4Block dplr, channels 2": (S4, lambda root: s4(root, mode="dplr", l_max=512, channels=2), (2, 64, WIDTH), 1, {"longest": 512}),
    "H3 H3": ("H3", h3, (2, 64, WIDTH), 1, {}),
    "SGConv GConv": ("SGConv", sgconv, (2, 64, WIDTH), 1, {}),
    "GSS GSS": (GSS, gss, (2, 64, WIDTH), 1, {}),
    "GSS GatedDsConv": (GSS, dsconv, (2, 64, WIDTH), 1, {}),
    "vortex hcs": ("vortex", lambda root: vortex(root, 7, 4), (2, 64, WIDTH), 1, {}),
    "vortex hcm": ("vortex", lambda root: vortex(root, 128, 4), (2, 64, WIDTH), 1, {}),
    "vortex hcl": ("vortex", vortex, (2, 64, WIDTH), 1, {}),
}


class StandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Packages of UNUSED that are not installed: every name in them is a decorator that changes nothing."""

    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if name.split(".")[0] in UNUSED else None

    def create_module(self, spec):
        print(f"stood in for: {spec.name}", file=sys.stderr)
        module = types.ModuleType(spec.name)
        module.__getattr__ = lambda name: (_ for _ in ()).throw(AttributeError(name)) if name.startswith("__") else type(name, (), {"__new__": lambda cls, *args, **__: args[0] if args else object.__new__(cls)})
        return module

    def exec_module(self, module):
        pass


def one(folder, name, out):
    """Exports one module; the notes are printed as JSON."""
    import torch

    sys.meta_path.append(StandIn())
    sys.path.insert(0, str(HERE))
    from longconv_export import export

    repository, build, shape, axis, options = PUBLISHED[name]
    torch.manual_seed(0)
    module = build(folder / repository).eval()
    print(json.dumps(export(module, torch.randn(*shape), out, time_axis=axis, **options)))


def last_line(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return next((line for line in lines if line.startswith(("export failed", "longconv_export.ExportFailed"))), lines[-1] if lines else "")


def attempt(folder, name, out):
    """(exports, the file is the module at every size that was run, converts, what is to be known) of one module."""
    call = [sys.executable, __file__, str(folder), "--one", name, "--out", str(out)]
    exported = subprocess.run(call, capture_output=True, text=True)
    if exported.returncode:
        return False, False, False, last_line(exported.stderr)
    notes = json.loads(exported.stdout.strip().splitlines()[-1])
    axis = PUBLISHED[name][3]
    call = ["node", str(COMMAND), "convert", str(out), "-o", str(out.with_suffix("")), "--horizon", "512", "--force", *(["--time-axis", f"input_0={axis}"] if axis != 1 else [])]
    converted = subprocess.run(call, capture_output=True, text=True)
    right = not any(note.startswith(("the file is not the module", "the file is for lengths up to", "the file was not run")) for note in notes)
    return True, right, converted.returncode == 0, "; ".join(notes + ([] if converted.returncode == 0 else [converted.stderr.strip().replace("\n", " ")]))


def over_checkouts(description, subjects, what, out, columns, one, attempt):
    """Tries each subject whose repository is there, by `attempt`, and prints a row of a table for it; with --one, in a process of its own,
    `one` of them. `what`: what NAME is; `columns`: what attempt answers with yes or no, before what is to be known. Gives the answers."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the checkouts are")
    parser.add_argument("names", nargs="*", help=f"which {what}s, by a part of the name; default: all whose repository is there")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path(out), help="where the files are written")
    options = parser.parse_args()
    if options.one:
        one(options.folder, options.one, options.out)
        return None
    options.out.mkdir(parents=True, exist_ok=True)
    print(f"| {' | '.join([what, *columns])} | |\n|{'---|' * (len(columns) + 2)}")
    made = []
    for name, (repository, *_) in subjects.items():
        if options.names and not any(part in name for part in options.names):
            continue
        if not (options.folder / repository).is_dir():
            print(f"{name}: no checkout {repository}")
            continue
        *answers, known = attempt(options.folder, name, options.out / f"{name.replace(', ', '-').replace(' ', '-')}.onnx")
        print(f"| {name} | {' | '.join('yes' if each else 'no' for each in answers)} | {known} |", flush=True)
        made.append(answers)
    return made


def main():
    columns = ["exports", "is the module at other sizes", "converts"]
    made = over_checkouts(__doc__, PUBLISHED, "module", "published", columns, one, attempt)
    if made is not None:
        print(f"{sum(map(all, made))} of {len(made)} export, are the module at other sizes, and convert with no line changed")


if __name__ == "__main__":
    main()
