"""Exports a PyTorch module with long convolutions to ONNX, ready for longconv-ssm.

Needs torch, onnx and onnxscript; versions are in docs/exporting.md. As a module:

    from longconv_export import export, long_conv
    export(model, example_ids, "model.onnx")

As a command, for a module that a file builds with no arguments:

    python longconv_export.py model_file.py:build --example 2x64 --out model.onnx

`long_conv(x, kernel)` is a causal long convolution that exports as one ai.longconv::LongConv node and runs as an FFT in
PyTorch: y_i = sum over j <= i of kernel_{i-j} * x_j, x [batch, n, channels], kernel [n, channels].
"""
import argparse
import importlib.util
import logging
import re
import sys
import warnings
from pathlib import Path

import torch

MENDS = [
    (r"No decompositions registered for the complex-valued input|complex.*unsqueeze|unsqueeze.*complex",
     "the exporter cannot unsqueeze (or index with None) a complex tensor",
     "Write rfft(a.unsqueeze(0)) instead of rfft(a).unsqueeze(0), or use long_conv(x, kernel) from this file."),
    (r"fft.*(not supported|unsupported)|aten::fft|aten::_fft",
     "the TorchScript exporter has no FFT",
     "Export with dynamo=True (torch 2.6 or newer), or use long_conv(x, kernel) from this file."),
    (r"[Cc]onstraints violated|specialized|[Ss]pecializ(ed|ing).*(batch|sequence)",
     "the model computes something from the sequence length as a Python number, which freezes it",
     "Take lengths from x.shape inside forward, never from a stored number, and build positions with torch.arange(n)."),
    (r"data-dependent|Could not guard on data-dependent",
     "the control flow depends on values of the data",
     "Replace `if tensor:` by torch.where, or decide before the forward pass."),
]


def long_conv(x, kernel):
    """x: [batch, n, channels]; kernel: [n, channels] -> [batch, n, channels]."""
    if torch.onnx.is_in_onnx_export():
        return torch.onnx.ops.symbolic("ai.longconv::LongConv", (x, kernel), dtype=x.dtype, shape=x.shape, version=1)
    n = x.shape[1]
    spectrum = torch.fft.rfft(x, 2 * n, dim=1) * torch.fft.rfft(kernel[None], 2 * n, dim=1)
    return torch.fft.irfft(spectrum, 2 * n, dim=1)[:, :n]


def export(module, example, path, opset=18, input_names=None, output_names=None, longest=1 << 16):
    """Exports `module` with dynamic batch size and length (axes 0 and 1 of every example input), and checks the file.

    example: a tensor or a tuple of tensors [batch, n, ...], batch and n at least 2.
    Returns a list of warnings about what longconv-ssm will find; raises SystemExit with the mend where one is known.
    """
    module = module.eval()
    examples = example if isinstance(example, tuple) else (example,)
    if input_names is None:
        tokens = len(examples) == 1 and not examples[0].is_floating_point()
        input_names = ["input_ids"] if tokens else [f"input_{i}" for i in range(len(examples))]
        output_names = output_names or (["logits"] if tokens else None)
    dim = torch.export.Dim
    batch, length = dim("batch_size", min=1, max=1024), dim("sequence_length", min=2, max=longest)
    shapes = tuple({0: batch, 1: length} for _ in examples)
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(module, examples, str(path), input_names=input_names, output_names=output_names,
                              dynamo=True, opset_version=opset, external_data=False, dynamic_shapes=shapes, verbose=False)
        except Exception as error:  # whatever the exporter raises: say what mends it, if that is known
            mend = explain(error)
            if mend is None:
                raise
            raise SystemExit(f"export failed: {mend[0]}\n  {mend[1]}\n  the exporter said: {first_line(error)}") from error
        finally:
            logging.disable(logging.NOTSET)
    return inspect(path, opset)


def explain(error):
    """(what is wrong, what mends it) for a known failure of the exporter, else None."""
    text = ""
    while error is not None:
        text += f"{type(error).__name__}: {error}\n"
        error = error.__cause__ or error.__context__
    return next(((what, mend) for pattern, what, mend in MENDS if re.search(pattern, text)), None)


def first_line(error):
    return str(error).strip().split("\n")[0][:200]


def inspect(path, opset=None):
    """Warnings about an exported file: another opset than asked for, fixed shapes, training-mode nodes, frozen kernels."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    found = []
    written = next((each.version for each in model.opset_import if each.domain == ""), opset)
    if opset is not None and written != opset:
        found.append(f"the file has opset {written}, not {opset}: the exporter could not write it in that one.")
    dynamic = False
    for value in model.graph.input:
        sizes = [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        if len(sizes) >= 2 and isinstance(sizes[1], int):
            found.append(f"input '{value.name}' has the fixed length {sizes[1]}: the converted model takes any length, "
                         "but its kernel ends there. Export with a dynamic length.")
        dynamic = dynamic or len(sizes) >= 2 and isinstance(sizes[1], str)
    shapes = {value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim] for value in model.graph.value_info}
    for node in model.graph.node:
        if node.op_type != "DFT" or not dynamic:
            continue
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
        sizes = shapes.get(node.input[0], [])
        # at opset 20 the axis is an input and this looks at axis 1
        if axis < len(sizes) and isinstance(sizes[axis], int):
            found.append(f"node '{node.name}' transforms a fixed length of {sizes[axis]}: the kernel is frozen there. "
                         "Use x.shape[1] in forward, not a stored length.")
            break
    for node in model.graph.node:
        if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
            found.append(f"node '{node.name}' is a Dropout with a training mode: call model.eval() before exporting.")
    return found


def build_from(target):
    """The module that FILE.py:FUNCTION returns."""
    file, _, function = target.partition(":")
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    source = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(Path(file).resolve().parent))
    spec.loader.exec_module(source)
    return getattr(source, function or "build")()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", help="FILE.py:FUNCTION that returns the module")
    parser.add_argument("--example", default="2x64", help="BATCHxLENGTH of token ids, or BATCHxLENGTHxFEATURES of a signal")
    parser.add_argument("--vocabulary", type=int, default=2, help="token ids of the example are drawn below this")
    parser.add_argument("--out", default="model.onnx")
    parser.add_argument("--opset", type=int, default=18, help="default 18; the exporter keeps 18 where it cannot write an older one")
    options = parser.parse_args()
    sizes = [int(size) for size in options.example.split("x")]
    example = torch.randn(*sizes) if len(sizes) == 3 else torch.randint(0, options.vocabulary, sizes)
    for warning in export(build_from(options.target), example, options.out, options.opset):
        print(f"note: {warning}", file=sys.stderr)
    print(options.out)


if __name__ == "__main__":
    main()
