"""Exports a PyTorch module with long convolutions to ONNX, ready for longconv-ssm, and runs what it wrote.

Needs torch, onnx and onnxscript, and onnxruntime to run the file; versions are in docs/exporting.md. As a module:

    from longconv_export import export, long_conv
    export(model, example_ids, "model.onnx")

As a command, for a module that a file builds with no arguments:

    python longconv_export.py model_file.py:build --example 2x64 --out model.onnx

`long_conv(x, kernel)` is a causal long convolution that exports as one ai.longconv::LongConv node and runs as an FFT in
PyTorch: y_i = sum over j <= i of kernel_{i-j} * x_j, x [batch, n, channels], kernel [n, channels].

From top to bottom: `export`, its steps, complex numbers as pairs of reals, the check, what went wrong and what mends it.
"""
import argparse
import cmath
import contextlib
import copy
import functools
import importlib.util
import linecache
import logging
import math
import re
import string
import sys
import traceback
import warnings
from pathlib import Path

import torch
import torch.backends.opt_einsum
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

# Largest |difference| over largest |output| between the module and its file in float32.
TOLERANCE = 1e-3


class ExportFailed(Exception):
    """The module cannot be exported: a sentence, where, what mends it, and what the exporter said."""


def long_conv(x, kernel):
    """x: [batch, n, channels]; kernel: [n, channels] -> [batch, n, channels]."""
    if torch.onnx.is_in_onnx_export():
        return torch.onnx.ops.symbolic("ai.longconv::LongConv", (x, kernel), dtype=x.dtype, shape=x.shape, version=1)
    n = x.shape[1]
    spectrum = torch.fft.rfft(x, 2 * n, dim=1) * torch.fft.rfft(kernel[None], 2 * n, dim=1)
    return torch.fft.irfft(spectrum, 2 * n, dim=1)[:, :n]


def export(module, example, path, opset=18, input_names=None, output_names=None, longest=None, fixed=False, time_axis=1,
           check=True):
    """Exports `module` with dynamic batch size and length, runs the file at other sizes, and compares it with the module.

    example: a tensor or a tuple of tensors, batch and length at least 2. Axis 0 is the batch; axis `time_axis` is time in
    the first input, and in each other input whose size there is the same.
    longest: the largest length that the file is for; a module that prepares kernels is prepared for it.
    fixed: the length stays that of the example.
    Returns a list of sentences on what to know about the file; raises ExportFailed with what mends it.
    """
    module = module.eval()
    examples = example if isinstance(example, tuple) else (example,)
    if input_names is None:
        tokens = len(examples) == 1 and not examples[0].is_floating_point()
        input_names = ["input_ids"] if tokens else [f"input_{i}" for i in range(len(examples))]
        output_names = output_names or (["logits"] if tokens else None)
    sizes = Sizes(examples, time_axis, fixed, longest)

    def write(examples, behind=None):
        program, kept = capture(module, examples, sizes, longest, behind is not None)
        to_onnx(program, examples, sizes, path, opset, input_names, output_names)
        wanted = check_sizes(sizes, longest, longest_of(program, sizes), behind)
        return program, kept, run_check(kept, path, examples, wanted, sizes) if check else []

    program, kept, found = write(examples)
    bound = longest_of(program, sizes)
    longer = (bound or 4 * sizes.length) + 3
    if found and not fixed and (longest is None or longer <= longest):
        for other in (
            # Code that asks `if kernel is longer than the input` has one graph for each answer; that for long inputs pads by
            # a negative number where they are short, and is right for both.
            lambda: write(sizes.resized(examples, sizes.batch, longer)),
            # Code that cuts a table to the input's length has none for inputs beyond the table's end, unless zeros follow it.
            lambda: write(examples, behind=bound),
        ):
            with contextlib.suppress(Exception):
                program, kept, found = other()
                if not found:
                    break
        if found:
            program, kept, found = write(examples)
    notes = explain_sizes(found, kept, examples, sizes, longest_of(program, sizes))
    return notes + inspect(path, opset, fixed)


# --- The steps ---------------------------------------------------------------------------------------------------------


class Sizes:
    """Which axes of the inputs are batch and time."""

    def __init__(self, examples, time_axis, fixed=False, longest=None):
        first = examples[0]
        self.longest = longest
        self.batch, self.length, self.fixed = first.shape[0], first.shape[time_axis], fixed
        self.axis = time_axis % first.dim()
        self.timed = [x.dim() > self.axis and x.shape[self.axis] == self.length for x in examples]

    def dynamic(self, free=None):
        """For torch.export, which sizes are dynamic. Where the length is fixed, the batch size may be too."""
        free = free or (torch.export.Dim.AUTO if self.fixed else torch.export.Dim.DYNAMIC)
        time = free(max=self.longest) if self.longest else free
        return tuple({0: free, **({self.axis: time} if timed and not self.fixed else {})} for timed in self.timed)

    def resized(self, examples, batch, length):
        """Inputs of other sizes, drawn from the examples' own values: ids stay ids, a mask of ones stays one."""
        draw = torch.Generator().manual_seed(7)
        made = []
        for x, timed in zip(examples, self.timed):
            shape = list(x.shape)
            shape[0] = batch
            if timed:
                shape[self.axis] = length
            at = torch.randint(0, x.numel(), (math.prod(shape),), generator=draw)
            made.append(x.detach().flatten()[at].reshape(shape))
        return tuple(made)


def capture(module, examples, sizes, longest, behind=False):
    """(the program with real numbers alone, the module as it was exported)."""
    kept = copied(module)
    try:
        program = captured(copied(kept), examples, sizes, behind)
    except Exception as error:
        if re.search(CONSTRAINTS, chain_of(error)):
            raise fixed_size(error, kept, examples, sizes) from error
        if not re.search(DATA_DEPENDENT, chain_of(error)):
            raise failed(error) from error
        # A module that decides by its own one-element buffers ("is the kernel prepared?") is run once, and the buffers
        # are then known numbers.
        try:
            kept = copied(module)
            with torch.no_grad():
                kept(*sizes.resized(examples, sizes.batch, longest or sizes.length))
            kept = with_known_flags(kept)
            program = captured(copied(kept), examples, sizes, behind)
        except Exception:
            raise failed(error) from error
    try:
        real = in_reals(program, examples, sizes)
        # an `if` on the length is decided in the first export: the second does not know of it
        real.longest = longest_of(program, sizes)
        return real, kept
    except Exception as error:
        raise failed(error) from error


def captured(module, examples, sizes, behind):
    if behind:
        with_zeros_behind(module)
    with quiet(), stand_ins(), torch.no_grad():
        program = torch.export.export(module, examples, dynamic_shapes=sizes.dynamic(), strict=False)
    if not sizes.fixed and isinstance(length_of(program, sizes), int):
        raise ValueError("the length was specialized, without a word from the exporter")
    return program


class ZerosBehind(TorchFunctionMode):
    """`table[:n]` gives n entries also where the table has fewer: zeros follow it. Whether that is the module is for the check."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.__getitem__:
            args = (lengthened(*args), args[1])
        return func(*args, **(kwargs or {}))


def lengthened(x, index):
    """x with as many zeros behind it as are asked for, where an index cuts a fixed size to the input's length."""
    index = [each for each in (index if isinstance(index, tuple) else (index,)) if each is not None]
    if not all(each is Ellipsis or isinstance(each, (int, slice)) for each in index):
        return x
    first = index.index(Ellipsis) if Ellipsis in index else len(index)
    last = index[first + 1 :]
    cuts = {}
    for axis, each in [*enumerate(index[:first]), *enumerate(last, x.dim() - len(last))]:
        is_cut = isinstance(each, slice) and each.start in (None, 0) and each.step in (None, 1)
        if is_cut and isinstance(each.stop, torch.SymInt) and isinstance(x.shape[axis], int):
            cuts[axis] = each.stop
    widths = [n for axis in reversed(range(x.dim())) for n in (0, cuts.get(axis, 0))]
    return torch.nn.functional.pad(x, widths) if cuts else x


def with_zeros_behind(module):
    as_it_is = module.forward

    @functools.wraps(as_it_is)
    def forward(*args, **kwargs):
        with ZerosBehind():
            return as_it_is(*args, **kwargs)

    module.forward = forward


def copied(module):
    """Exports leave things on the module, and kernels that it caches: so a copy is exported, and another one compared."""
    try:
        return copy.deepcopy(module)
    except Exception:  # tensors with a history, and some configurations, cannot be copied
        return twin_of(module)


def twin_of(module):
    """A module with the same tensors, whose own attributes can be set without touching the first's."""
    twin = object.__new__(type(module))
    twin.__dict__.update({key: copy.copy(value) if isinstance(value, (dict, list, set)) else value for key, value in module.__dict__.items()})
    twin._modules = {name: child and twin_of(child) for name, child in module._modules.items()}
    return twin


class Known(int):
    """A one-element buffer as the number that it is."""

    def item(self):
        return int(self)


def with_known_flags(module):
    for part in module.modules():
        for name, buffer in list(part._buffers.items()):
            if buffer is not None and buffer.numel() == 1 and not buffer.is_floating_point() and not buffer.is_complex():
                del part._buffers[name]
                setattr(part, name, Known(int(buffer)))
    return module


@contextlib.contextmanager
def attributes_restored(module):
    before = [(part, dict(part.__dict__)) for part in module.modules()]
    try:
        yield
    finally:
        for part, attributes in before:
            part.__dict__.clear()
            part.__dict__.update(attributes)


@contextlib.contextmanager
def stand_ins():
    """Functions that need sizes as Python numbers and would so fix them, replaced wherever they were imported."""

    def length_itself(target, real=False):
        return target  # it is a length for speed; any that is long enough is right

    def without_unit_norm(transform, plain):
        # norm="ortho" divides by a square root that is taken of a Python number
        def transformed(x, n=None, dim=-1, norm=None, **kwargs):
            if norm != "ortho":
                return transform(x, n, dim, norm, **kwargs)
            size = n if n is not None else 2 * (x.shape[dim] - 1) if transform is irfft else x.shape[dim]
            y = transform(x, n, dim, plain, **kwargs)
            return y * norm_of(1, size)

        return transformed

    def triangle(counted, in_closed_form, side):
        # the exporter counts indices with Python numbers
        def indices(row, col, offset=0, **kwargs):
            if isinstance(row, int) or str(row) != str(col) or not isinstance(offset, int) or offset * side < 0:
                return counted(row, col, offset, **kwargs)
            return torch.stack(in_closed_form(row, abs(offset))).to(kwargs.get("dtype", torch.int64))

        return indices

    irfft = torch.fft.irfft
    replacements = {}
    for name, attribute, other in (
        ("torch", "tril_indices", triangle(torch.tril_indices, lower_triangle, -1)),
        ("torch", "triu_indices", triangle(torch.triu_indices, upper_triangle, 1)),
        ("torch.fft", "fft", without_unit_norm(torch.fft.fft, "backward")),
        ("torch.fft", "rfft", without_unit_norm(torch.fft.rfft, "backward")),
        ("torch.fft", "ifft", without_unit_norm(torch.fft.ifft, "forward")),
        ("torch.fft", "irfft", without_unit_norm(torch.fft.irfft, "forward")),
        ("scipy.fft", "next_fast_len", length_itself),
        ("scipy.fftpack", "next_fast_len", length_itself),
        ("opt_einsum", "contract", lambda equation, *operands, **_: torch.einsum(equation, *operands)),
    ):
        if name in sys.modules:
            replacements[id(getattr(sys.modules[name], attribute))] = other
    changed = []
    for each in list(sys.modules.values()):
        for key, value in list(getattr(each, "__dict__", {}).items()):
            if id(value) in replacements and callable(value):
                changed.append((each, key, value))
                setattr(each, key, replacements[id(value)])
    with contextlib.suppress(ImportError):
        from torch._export import non_strict_utils as builtin

        # min(length, most) is decided, as `if` is, and not kept as a number that changes where the length reaches `most`
        if hasattr(builtin, "_tensor_min_max"):
            as_it_is = builtin._tensor_min_max
            changed.append((builtin, "_tensor_min_max", as_it_is))
            builtin._tensor_min_max = lambda *values, real_callable, tensor_callable, **kwargs: (
                real_callable(*values, **kwargs) if not any(isinstance(x, torch.Tensor) for x in values)
                else as_it_is(*values, real_callable=real_callable, tensor_callable=tensor_callable, **kwargs)
            )
    from torch.export import _trace

    # what forward stores on the copy that is exported is forgotten with it
    changed.append((_trace, "_detect_attribute_assignment", _trace._detect_attribute_assignment))
    _trace._detect_attribute_assignment = attributes_restored
    tracer = torch.fx.proxy.TracerBase
    if hasattr(tracer, "_filter_traceback_frames"):
        # the lines of user code that a node comes from, and not those of `forward` alone
        changed.append((tracer, "_filter_traceback_frames", tracer._filter_traceback_frames))
        tracer._filter_traceback_frames = lambda _, frames: traceback.StackSummary.from_list([f for f in frames if own(f.filename)])
    try:
        # the order of an einsum's products is found from sizes, too
        with torch.backends.opt_einsum.flags(enabled=False):
            yield
    finally:
        for each, key, value in changed:
            setattr(each, key, value)


def lower_triangle(n, below):
    """Rows and columns of the entries of an n x n matrix that lie at least `below` under the diagonal, row by row."""
    size = n - below
    k = torch.arange(size * (size + 1) // 2)
    row = torch.floor((torch.sqrt(8.0 * k.to(torch.float64) + 1) - 1) / 2).to(torch.int64)
    return row + below, k - row * (row + 1) // 2


def upper_triangle(n, above):
    row, column = lower_triangle(n, above)
    return n - 1 - row.flip(0), n - 1 - column.flip(0)


@contextlib.contextmanager
def quiet():
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def in_reals(program, examples, sizes):
    """The program with pairs of reals for its complex tensors, and copies of full size; unchanged if it has none."""
    if not any(touches_complex(node) or is_widening_copy(node) for node in nodes_of(program)):
        return program
    asked = None
    while True:
        with quiet():
            program = program.run_decompositions(asked or {})
        missing = {node.target for node in nodes_of(program) if touches_complex(node) and not has_row(node)}
        known = torch.export.default_decompositions()
        table = {target: known[target] for target in missing if target in known}
        if not table or asked and table.keys() <= asked.keys():
            break
        asked = {**(asked or {}), **table}
    with quiet(), torch.no_grad(), torch.fx.traceback.preserve_node_meta():
        return torch.export.export(RealModule(program), examples, dynamic_shapes=(sizes.dynamic(),), strict=False)


def nodes_of(program):
    """All nodes, also those in the blocks that `with torch.autocast` and `with torch.no_grad` make."""
    return [node for part in program.graph_module.modules() if isinstance(part, torch.fx.GraphModule) for node in part.graph.nodes]


def touches_complex(node):
    values = [node.meta.get("val"), *(each.meta.get("val") for each in node.all_input_nodes)]
    tensors = [x for x in pytree.tree_leaves(values) if isinstance(x, torch.Tensor)]
    numbers = pytree.tree_leaves((node.args, node.kwargs)) if node.op == "call_function" else []
    return any(x.is_complex() for x in tensors) or any(isinstance(x, complex) for x in numbers)


def is_widening_copy(node):
    """`x[:, 0] = row`: the exporter's copy keeps the size of what is written, and ONNX Runtime then fails."""
    if node.op != "call_function" or not str(node.target).startswith("aten.copy_."):
        return False
    to, value = (each.meta.get("val") for each in node.args[:2])
    return isinstance(value, torch.Tensor) and list(map(str, to.shape)) != list(map(str, value.shape))


def has_row(node):
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return True
    name = node.target.overloadpacket.__name__
    return name in ROWS or name in APART or name in WRITES or name in PLACED or name in IGNORED


@contextlib.contextmanager
def promotion_of_types():
    """Torch 2.8 to 2.11 stop where a weight meets whole numbers: asked which operator ran, they name a question for its device."""
    try:
        from torch.onnx._internal.fx.passes.type_promotion import _OpTraceDispatchMode as Traced
    except ImportError:  # later versions have no such pass
        yield
        return
    as_it_is = Traced.__torch_dispatch__

    def dispatched(self, func, types, args=(), kwargs=None):
        if func.namespace != "prim":
            self.traced_ops.append(func)
        return func(*args, **(kwargs or {}))

    Traced.__torch_dispatch__ = dispatched
    try:
        yield
    finally:
        Traced.__torch_dispatch__ = as_it_is


def to_onnx(program, examples, sizes, path, opset, input_names, output_names):
    try:
        with quiet(), promotion_of_types():
            torch.onnx.export(program, examples, str(path), input_names=input_names, output_names=output_names, dynamo=True,
                              opset_version=opset, external_data=False, verbose=False)
    except Exception as error:
        error.place = place_in(program, chain_of(error))
        raise failed(error) from error
    import onnx

    model = onnx.load(path)
    names = {}
    for value, timed in zip(model.graph.input, sizes.timed):
        dims = value.type.tensor_type.shape.dim
        names[dims[0].dim_param] = "batch_size"
        if timed:
            names[dims[sizes.axis].dim_param] = "sequence_length"
    names.pop("", None)
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = re.sub(r"[A-Za-z_]\w*", lambda found: names.get(found[0], found[0]), dim.dim_param)
    onnx.save(model, path)


def place_in(program, text):
    """file:line of the node that the exporter could not translate, or of what it was made from, or None."""
    named = re.search(r"translating node %(\w+).*?target=torch\.ops\.([\w.]+)", text)
    for graph in (lambda: program, program.run_decompositions) if named else ():
        with contextlib.suppress(Exception), quiet():
            for node in graph().graph.nodes:
                if node.name == named[1] or str(node.target) == named[2]:
                    return line_of(node)[0]
    return None


def length_of(program, sizes):
    """The length as the program has it: a symbol, or a number."""
    from torch.export.graph_signature import InputKind

    first = next(each.arg.name for each in program.graph_signature.input_specs if each.kind == InputKind.USER_INPUT)
    return next(node.meta["val"] for node in program.graph.nodes if node.name == first).shape[sizes.axis]


def longest_of(program, sizes):
    """The largest length that the exporter's own assumptions allow, None where there is no bound."""
    allowed = program.range_constraints.get(getattr(getattr(length_of(program, sizes), "node", None), "expr", None))
    most = int(allowed.upper) if getattr(getattr(allowed, "upper", None), "is_Integer", False) else None
    return min((each for each in (most, getattr(program, "longest", None)) if each is not None), default=None)


# --- Complex numbers as pairs of reals -------------------------------------------------------------------------------
# ONNX has no complex numbers, and the exporter translates few operators on them. So the exported program is run once
# more, node by node, with each complex tensor as its two parts, and what that run did is exported: real operators, and
# complex tensors only directly around a transform, where the exporter knows them.


class Pair:
    """A complex tensor as two real ones of the same shape."""

    def __init__(self, re, im):
        if list(map(str, re.shape)) != list(map(str, im.shape)):
            re, im = torch.broadcast_tensors(re, im)
        self.re, self.im = re, im


class Untranslated(Exception):
    """An operator on complex tensors that has no row in ROWS; `place` is the user's line."""

    place = None


def is_complex(value):
    return isinstance(value, (Pair, complex))


def pair_of(value):
    """Any tensor or number as a pair; the imaginary part of a real one is 0."""
    if isinstance(value, Pair):
        return value
    if isinstance(value, torch.Tensor):
        value = value if value.is_floating_point() else value.to(torch.get_default_dtype())
        return Pair(value, torch.zeros_like(value))
    return Pair(torch.tensor(float(value.real)), torch.tensor(float(value.imag)))


def add(a, b, alpha=1):
    if isinstance(a, complex) or isinstance(b, complex):
        a, b = pair_of(a), pair_of(b)
    if alpha != 1:
        b = mul(b, alpha)
    if isinstance(a, Pair) and isinstance(b, Pair):
        return Pair(a.re + b.re, a.im + b.im)
    return Pair(a.re + b, a.im) if isinstance(a, Pair) else Pair(a + b.re, b.im)


def sub(a, b, alpha=1):
    return add(a, mul(b, -alpha) if is_complex(b) else b * -alpha)


def mul(a, b):
    if not isinstance(a, (Pair, complex)):
        a, b = b, a
    if isinstance(b, complex) or isinstance(a, complex):
        # a number: an imaginary one swaps the parts, and nothing is multiplied by 0
        (z, x) = (b, a) if isinstance(b, complex) else (a, b)
        if isinstance(x, Pair):
            if z.real == 0:
                return Pair(x.im * -z.imag, x.re * z.imag)
            return Pair(x.re * z.real - x.im * z.imag, x.re * z.imag + x.im * z.real)
        return Pair(x * z.real, x * z.imag)
    if isinstance(b, Pair):
        return Pair(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)
    return Pair(a.re * b, a.im * b)


def reciprocal(a):
    size = a.re * a.re + a.im * a.im
    return Pair(a.re / size, -a.im / size)


def div(a, b, rounding_mode=None):
    if isinstance(b, complex):
        return mul(a, 1 / b)
    return mul(a, reciprocal(b)) if isinstance(b, Pair) else Pair(a.re / b, a.im / b)


def conj(a):
    return Pair(a.re, -a.im)


def absolute(a):
    return torch.sqrt(a.re * a.re + a.im * a.im)


def angle(a):
    return torch.atan2(a.im, a.re)


def polar(size, angle):
    return Pair(size * torch.cos(angle), size * torch.sin(angle))


def exp(a):
    return polar(torch.exp(a.re), a.im)


def log(a):
    return Pair(0.5 * torch.log(a.re * a.re + a.im * a.im), angle(a))


def power(a, b):
    """Whole numbers by multiplication, which has no branch; else e^(b log a), and 1 where b is 0."""
    if isinstance(b, (int, float)) and float(b).is_integer() and abs(b) <= 8:
        result = pair_of(1.0)
        for _ in range(int(abs(b))):
            result = mul(result, a)
        return reciprocal(result) if b < 0 else result
    if isinstance(a, complex):
        return exp(mul(b, cmath.log(a)))
    if not isinstance(a, Pair):
        return exp(mul(b, torch.log(a) if isinstance(a, torch.Tensor) else math.log(a)))
    return exp(mul(log(a), b))


def square_root(a):
    size, half = torch.sqrt(absolute(a)), 0.5 * angle(a)
    return polar(size, half)


def bmm(product):
    def of(a, b):
        a, b = pair_of(a), pair_of(b)
        return Pair(product(a.re, b.re) - product(a.im, b.im), product(a.re, b.im) + product(a.im, b.re))

    return of


def einsum(equation, operands, path=None):
    """Two operands at a time, so that each product is one of pairs."""
    terms, _, result = equation.replace(" ", "").partition("->")
    terms = terms.split(",")
    operands = list(operands)
    ranks = [(x.re if isinstance(x, Pair) else x).dim() - len(term.replace("...", "")) for x, term in zip(operands, terms)]
    unused = "".join(c for c in string.ascii_letters if c not in equation)[: max(ranks)]
    terms = [term.replace("...", unused[len(unused) - rank :]) for term, rank in zip(terms, ranks)]
    if "->" not in equation:
        once = sorted(c for c in set("".join(terms)) if "".join(terms).count(c) == 1 and c not in unused)
        result = ("..." if "..." in equation else "") + "".join(once)
    result = result.replace("...", unused)
    while len(operands) > 1:
        a, b, *operands = operands
        left, right, *terms = terms
        rest = set("".join(terms)) | set(result)
        to = result if not terms else "".join(c for c in dict.fromkeys(left + right) if c in rest)
        if not is_complex(a) and not is_complex(b):
            operands.insert(0, product_of(left, right, to, a, b))
        elif set(to) == set(left + right):
            a, b = (apart(lambda x, term=term: aligned(x, term, to), x) for x, term in ((a, left), (b, right)))
            operands.insert(0, mul(a, b))
        else:
            if not isinstance(a, Pair):
                operands.insert(0, Pair(product_of(left, right, to, a, b.re), product_of(left, right, to, a, b.im)))
            elif not isinstance(b, Pair):
                operands.insert(0, Pair(product_of(left, right, to, a.re, b), product_of(left, right, to, a.im, b)))
            else:
                operands.insert(0, bmm(lambda x, y: product_of(left, right, to, x, y))(a, b))
        terms.insert(0, to)
    if terms[0] == result:
        return operands[0]
    return apart(lambda x: torch.einsum(f"{terms[0]}->{result}", x), operands[0])


def product_of(left, right, to, a, b):
    return torch.einsum(f"{left},{right}->{to}", a, b)


def aligned(x, term, to):
    """x with the axes of `term` in the order of `to`, and axes of size 1 for those that it has not."""
    x = x.permute([term.index(c) for c in to if c in term])
    for axis, c in enumerate(to):
        if c not in term:
            x = x.unsqueeze(axis)
    return x


def apart(function, *args, **kwargs):
    """What a real-linear function does to each part; pairs may stand in lists, and come back in lists."""
    leaves, tree = pytree.tree_flatten((args, kwargs), is_leaf=is_complex)
    parts = []
    for part in ("re", "im"):
        chosen = [getattr(x, part) if isinstance(x, Pair) else x for x in leaves]
        args, kwargs = pytree.tree_unflatten(chosen, tree)
        parts.append(function(*args, **kwargs))
    if isinstance(parts[0], (list, tuple)):
        return [Pair(re, im) for re, im in zip(*parts)]
    return Pair(*parts)


def joined(join):
    return lambda tensors, dim=0: apart(lambda each: join(each, dim), [pair_of(x) for x in tensors])


def each_part(target):
    """An operator that does to a complex tensor what it does to each part."""

    def row(*args, **kwargs):
        kwargs.pop("dtype", None)
        return apart(target, *args, **kwargs)

    return row


def scaled(a, factor):
    return a if factor is None else mul(a, factor)


def norm_of(normalization, n):
    """ATen's codes of a transform's factor: none, 1/sqrt(n), 1/n."""
    if normalization == 0:
        return None
    if isinstance(n, int):
        return n**-0.5 if normalization == 1 else 1 / n
    size = torch.scalar_tensor(n, dtype=torch.float32)
    return torch.rsqrt(size) if normalization == 1 else torch.reciprocal(size)


def to_pair(z):
    parts = torch.view_as_real(z)
    return Pair(parts.select(-1, 0), parts.select(-1, 1))


def to_complex(a):
    return torch.view_as_complex(torch.stack([a.re, a.im], dim=-1))


def fft_c2c(a, dim, normalization, forward):
    for axis in dim:
        factor = norm_of(normalization, a.re.shape[axis])
        a = scaled(to_pair(torch.ops.aten._fft_c2c(to_complex(a), [axis], 0, forward)), factor)
    return a


def fft_r2c(x, dim, normalization, onesided):
    *rest, last = dim
    factor = norm_of(normalization, x.shape[last])
    a = scaled(to_pair(torch.ops.aten._fft_r2c(x, [last], 0, onesided)), factor)
    return fft_c2c(a, rest, normalization, True)


def fft_c2r(a, dim, normalization, last_dim_size):
    *rest, last = dim
    a = fft_c2c(pair_of(a), rest, normalization, False)
    x = torch.ops.aten._fft_c2r(to_complex(a), [last], 0, last_dim_size)
    factor = norm_of(normalization, last_dim_size)
    return x if factor is None else x * factor


def filled(make):
    """zeros, ones, full and their like: the value is complex, or the type asked for is."""

    def row(*args, **kwargs):
        kwargs = {k: v for k, v in kwargs.items() if k not in ("dtype", "layout", "pin_memory", "memory_format")}
        return pair_of(make(*args, **kwargs))

    return row


def like(value):
    return lambda a, *_, **__: Pair(torch.full_like(a.re, value), torch.zeros_like(a.re))


def full(size, value, **kwargs):
    return Pair(torch.full(size, value.real), torch.full(size, value.imag))


def to_copy(a, *args, **kwargs):
    dtype = kwargs.get("dtype")
    if isinstance(a, Pair):
        real = {torch.complex128: torch.float64, torch.complex64: torch.float32}.get(dtype)
        return Pair(a.re.to(real), a.im.to(real)) if real else a if dtype is None else a.re.to(dtype)
    return pair_of(a.to(torch.float64 if dtype == torch.complex128 else torch.float32))


def where(condition, a, b):
    a, b = pair_of(a), pair_of(b)
    return Pair(torch.where(condition, a.re, b.re), torch.where(condition, a.im, b.im))


def written(target, at, a, *args, **kwargs):
    """Argument number `at`, a tensor or a number, is written into `a`: so each part into its part."""
    value = args[at - 1] if len(args) >= at else kwargs.pop("value", None)
    if value is None:  # a padding that repeats what is there, or is 0
        return apart(target, a, *args, **kwargs)
    a = pair_of(a)
    if isinstance(value, (Pair, torch.Tensor)):
        value = pair_of(value)
        parts = value.re.to(a.re.dtype), value.im.to(a.re.dtype)
    else:
        parts = value.real, value.imag
    before, after = args[: at - 1], args[at:]
    return Pair(*(target(old, *before, new, *after, **kwargs) for old, new in zip((a.re, a.im), parts)))


def copy_of(a, b, non_blocking=False):
    """`a[...] = b` keeps the kind of a: numbers that are written into real ones lose their imaginary part."""
    if not isinstance(a, Pair):
        b = b.re if isinstance(b, Pair) else b
        return b.to(a.dtype).expand(a.shape)
    b = pair_of(b)
    return Pair(b.re.to(a.re.dtype).expand(a.re.shape), b.im.to(a.re.dtype).expand(a.re.shape))


def slice_replaced(a, part, dim=0, start=None, end=None, step=1):
    """What is before the slice, the slice, what is after it; a scatter where it has steps."""
    if isinstance(a, Pair):
        part = pair_of(part)
        return Pair(*(slice_replaced(*each, dim, start, end, step) for each in ((a.re, part.re), (a.im, part.im))))
    if step != 1:
        return torch.ops.aten.slice_scatter(a, part, dim, start, end, step)
    parts = [part.to(a.dtype)]
    if start is not None and not (isinstance(start, int) and start == 0):
        parts.insert(0, torch.ops.aten.slice(a, dim, 0, start))
    if end is not None and not (isinstance(end, int) and end >= sys.maxsize):
        parts.append(torch.ops.aten.slice(a, dim, end, sys.maxsize))
    return torch.cat(parts, dim)


def index_replaced(a, part, dim, index):
    part = apart(lambda x: x.unsqueeze(dim), part) if isinstance(part, Pair) else part.unsqueeze(dim)
    return slice_replaced(a, part, dim, index, None if isinstance(index, int) and index == -1 else index + 1)


def cumprod(a, dim, dtype=None):
    return exp(apart(lambda x: torch.cumsum(x, dim), log(a)))


def prod(a, dim, keepdim=False, dtype=None):
    return exp(apart(lambda x: torch.sum(x, dim, keepdim=keepdim), log(a)))


def sine(a):
    return Pair(torch.sin(a.re) * torch.cosh(a.im), torch.cos(a.re) * torch.sinh(a.im))


def cosine(a):
    return Pair(torch.cos(a.re) * torch.cosh(a.im), -torch.sin(a.re) * torch.sinh(a.im))


def hyperbolic_sine(a):
    return Pair(torch.sinh(a.re) * torch.cos(a.im), torch.cosh(a.re) * torch.sin(a.im))


def hyperbolic_cosine(a):
    return Pair(torch.cosh(a.re) * torch.cos(a.im), torch.sinh(a.re) * torch.sin(a.im))


def equal(a, b):
    a, b = pair_of(a), pair_of(b)
    return (a.re == b.re) & (a.im == b.im)


"""What each operator (by its name in ATen) is on pairs."""
ROWS = {
    "add": add, "sub": sub, "rsub": lambda a, b, alpha=1: sub(b, a, alpha),
    "mul": mul, "div": div, "true_divide": div, "reciprocal": reciprocal, "square": lambda a: mul(a, a),
    "pow": power, "exp": exp, "exp2": lambda a: exp(mul(a, math.log(2))), "expm1": lambda a: add(exp(a), -1.0), "log": log,
    "log1p": lambda a: log(add(a, 1.0)), "sqrt": square_root, "rsqrt": lambda a: reciprocal(square_root(a)),
    "sin": sine, "cos": cosine, "sinh": hyperbolic_sine, "cosh": hyperbolic_cosine,
    "tanh": lambda a: div(hyperbolic_sine(a), hyperbolic_cosine(a)), "sgn": lambda a: div(a, torch.where(absolute(a) == 0, 1.0, absolute(a))),
    "sigmoid": lambda a: reciprocal(add(exp(mul(a, -1.0)), 1.0)),
    "conj": conj, "_conj": conj, "conj_physical": conj, "_conj_physical": conj, "resolve_conj": lambda a: a,
    "resolve_neg": lambda a: a, "abs": absolute, "angle": angle, "real": lambda a: a.re, "imag": lambda a: a.im,
    "view_as_real": lambda a: torch.stack([a.re, a.im], dim=-1), "view_as_real_copy": lambda a: torch.stack([a.re, a.im], dim=-1),
    "view_as_complex": lambda x: Pair(x.select(-1, 0), x.select(-1, 1)),
    "view_as_complex_copy": lambda x: Pair(x.select(-1, 0), x.select(-1, 1)),
    "complex": Pair, "polar": polar, "mm": bmm(torch.mm), "bmm": bmm(torch.bmm), "matmul": bmm(torch.matmul),
    "mv": bmm(torch.mv), "dot": bmm(torch.dot), "einsum": einsum, "cat": joined(torch.cat), "stack": joined(torch.stack),
    "where": where, "cumprod": cumprod, "prod": prod, "eq": equal, "ne": lambda a, b: ~equal(a, b),
    "empty": filled(torch.zeros), "empty_like": like(0.0), "new_empty": lambda a, size, **_: full(size, 0.0),
    "new_zeros": lambda a, size, **_: full(size, 0.0), "new_ones": lambda a, size, **_: full(size, 1.0),
    "new_full": lambda a, size, value, **_: full(size, value),
    "zeros": filled(torch.zeros), "ones": filled(torch.ones), "arange": filled(torch.arange), "full": full,
    "scalar_tensor": lambda value, **_: pair_of(value), "zeros_like": like(0.0), "ones_like": like(1.0),
    "full_like": lambda a, value, **_: add(like(0.0)(a), value), "_to_copy": to_copy, "to": to_copy,
    "_fft_r2c": fft_r2c, "_fft_c2c": fft_c2c, "_fft_c2r": fft_c2r,
}

"""Operators that do to a complex tensor what they do to its parts."""
APART = set("""unsqueeze squeeze select slice index permute transpose t view _unsafe_view reshape expand expand_as clone
    contiguous alias detach flip roll sum mean cumsum diagonal repeat narrow split split_with_sizes chunk unbind index_select
    gather neg lift_fresh_copy lift_fresh unflatten flatten tril triu unfold repeat_interleave movedim
    swapaxes diag_embed take_along_dim select_copy slice_copy squeeze_copy unsqueeze_copy view_copy expand_copy
    permute_copy transpose_copy t_copy alias_copy detach_copy numpy_T mT T tile broadcast_to view_as""".split())

"""Operators that write a value into a tensor, and which of their arguments it is."""
WRITES = {
    "fill": 1, "index_put": 2, "masked_fill": 2, "masked_scatter": 2, "constant_pad_nd": 2, "scatter": 3, "scatter_add": 3,
    "index_add": 3, "index_copy": 3, "index_fill": 3, "pad": 3,
}

"""Writes without a scatter, for real tensors as well."""
PLACED = {"copy": copy_of, "slice_scatter": slice_replaced, "select_scatter": index_replaced}

"""Whose results are complex though no argument is."""
MAKES = {"complex", "polar", "view_as_complex", "view_as_complex_copy", "_fft_r2c"}
IGNORED = {"_assert_tensor_metadata"}


class InReals(torch.fx.Interpreter):
    """Runs an exported graph with pairs for complex tensors."""

    def __init__(self, graph, complex_attributes):
        super().__init__(graph)
        self.complex_attributes = complex_attributes

    def run_node(self, node):
        try:
            return super().run_node(node)
        except Untranslated as error:
            error.place = error.place or line_of(node)[0]
            raise

    def get_attr(self, target, args, kwargs):
        value = super().get_attr(target, args, kwargs)
        return Pair(value.select(-1, 0), value.select(-1, 1)) if target in self.complex_attributes else value

    def call_function(self, target, args, kwargs):
        block = next((x for x in args if isinstance(x, torch.fx.GraphModule)), None)
        if block is not None:
            return self.run_block(target, block, args)
        name = target.overloadpacket.__name__ if isinstance(target, torch._ops.OpOverload) else None
        dtype = kwargs.get("dtype")
        asked = isinstance(dtype, torch.dtype) and dtype.is_complex
        leaves = pytree.tree_leaves((args, kwargs), is_leaf=is_complex)
        if name in PLACED:
            return PLACED[name](*args, **kwargs)
        # without a name: arithmetic of sizes, and an element of a list
        if name is None or not (asked or name in MAKES or any(map(is_complex, leaves))):
            return super().call_function(target, args, kwargs)
        if name in IGNORED:
            return None
        kwargs = {key: value for key, value in kwargs.items() if key not in ("device", "non_blocking", "layout", "pin_memory")}
        if name in ROWS:
            return ROWS[name](*args, **kwargs)
        if name in APART:
            return each_part(target)(*args, **kwargs)
        if name in WRITES and "reduce" not in kwargs and not isinstance(kwargs.get("alpha"), complex):
            return written(target, WRITES[name], *args, **kwargs)
        raise Untranslated(str(target))

    def run_block(self, target, block, args):
        """What stands under `with torch.autocast` or `with torch.no_grad`, which export keeps as graphs of their own."""
        before = args[: args.index(block)]
        inputs = args[len(before) + 1 :]
        if target.name() == "wrap_with_set_grad_enabled":
            return InReals(block, ()).run(*inputs)
        if target.name() == "wrap_with_autocast":
            with torch.autocast(*before):
                return InReals(block, ()).run(*inputs)
        if any(map(touches_complex, block.graph.nodes)):
            raise Untranslated(target.name())
        return super().call_function(target, args, {})


class RealModule(torch.nn.Module):
    """An exported program with complex tensors, as a module without."""

    def __init__(self, program):
        super().__init__()
        try:
            self.traced = program.module(check_guards=False)
        except TypeError:  # before torch 2.9
            self.traced = program.module()
        self.complex = set()
        for node in self.traced.graph.nodes:
            if node.op != "get_attr" or node.target in self.complex:
                continue
            *path, name = node.target.split(".")
            owner = self.traced.get_submodule(".".join(path))
            value = getattr(owner, name)
            if isinstance(value, torch.Tensor) and value.is_complex():
                delattr(owner, name)
                owner.register_buffer(name, torch.view_as_real(value.detach().resolve_conj()).clone())
                self.complex.add(node.target)

    def forward(self, *inputs):
        result = InReals(self.traced, self.complex).run(*inputs)
        if any(isinstance(x, Pair) for x in pytree.tree_leaves(result, is_leaf=is_complex)):
            raise Untranslated("an output of the module is complex")
        return result


# --- The check ---------------------------------------------------------------------------------------------------------


def run_check(module, path, examples, wanted, sizes):
    """Runs the file at other batch sizes and lengths against the module. Returns what was found: (batch, length, what)."""
    try:
        import onnxruntime
    except ImportError:
        return [(None, None, "the file was not run: pip install onnxruntime")]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(runnable(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        return [(sizes.batch, sizes.length, f"ONNX Runtime does not load the file: {first_line(error)}")]
    found = []
    for batch, length in wanted:
        inputs = sizes.resized(examples, batch, length)
        try:
            with torch.no_grad(), quiet():
                want = copied(module)(*inputs)
        except Exception:  # the module has no such length
            continue
        want = [x for x in pytree.tree_leaves(want) if isinstance(x, torch.Tensor)]
        feeds = {each.name: x.numpy() for each, x in zip(session.get_inputs(), inputs)}
        try:
            got = session.run(None, feeds)
        except Exception as error:
            found.append((batch, length, f"ONNX Runtime fails: {first_line(error)}"))
            continue
        for name, x, y in zip((each.name for each in session.get_outputs()), want, got):
            if tuple(x.shape) != tuple(y.shape):
                found.append((batch, length, f"{name} has the sizes {list(y.shape)}, the module's {list(x.shape)}"))
            elif not x.is_floating_point():
                other = int((x != torch.from_numpy(y)).sum())
                if other:
                    found.append((batch, length, f"{name} differs in {other} of {x.numel()} values"))
            elif x.numel():
                x, y = x.double(), torch.from_numpy(y).double()
                error = (x - y).abs().max() / x.abs().max().clamp_min(1e-30)
                if not error <= (TOLERANCE if examples[0].dtype != torch.float16 else 30 * TOLERANCE):
                    found.append((batch, length, f"{name} is off by {error:.1e} of its largest value"))
    return found


def check_sizes(sizes, longest, assumed, behind=None):
    """
    The example's, then odd, prime, beyond the example's, and beyond what the exporter assumed of the length; around the end
    of the table behind which there are zeros, and far beyond.
    """
    if sizes.fixed:
        return [(sizes.batch, sizes.length), (sizes.batch + 1, sizes.length)]
    lengths = [sizes.length, sizes.length // 2 | 1, prime_above(sizes.length), prime_above(2 * sizes.length)]
    batches = [sizes.batch, sizes.batch + 1, 1, 2 * sizes.batch + 1]
    wanted = list(zip(batches, lengths))
    if assumed is not None and assumed <= 1 << 14:
        wanted.append((sizes.batch, prime_above(assumed)))
    if behind is not None:
        wanted += [(sizes.batch, n) for n in (behind - 1, behind, behind + 1, prime_above(2 * behind), prime_above(5 * behind))]
    return [(batch, n) for batch, n in wanted if longest is None or n <= longest]


def prime_above(n):
    return next(p for p in range(n + 1, 2 * n + 2) if all(p % q for q in range(2, math.isqrt(p) + 1)))


LONG_CONV = """
<opset_import: ["" : 18], domain: "ai.longconv">
LongConv <version>(x, kernel) => (y)
{
  one = Constant <value_ints: ints = [1]> ()
  two = Constant <value_ints: ints = [2]> ()
  zero = Constant <value_ints: ints = [0]> ()
  last = Constant <value_ints: ints = [-1]> ()
  taps = Unsqueeze (kernel, zero)
  shape = Shape <start = 1, end = 2> (x)
  n = Squeeze (shape)
  double = Add (n, n)
  x1 = Unsqueeze (x, last)
  t1 = Unsqueeze (taps, last)
  fx = DFT <axis = 1> (x1, double)
  ft = DFT <axis = 1> (t1, double)
  xr = Slice (fx, zero, one, last)
  xi = Slice (fx, one, two, last)
  tr = Slice (ft, zero, one, last)
  ti = Slice (ft, one, two, last)
  rr = Mul (xr, tr)
  ii = Mul (xi, ti)
  ri = Mul (xr, ti)
  ir = Mul (xi, tr)
  re = Sub (rr, ii)
  im = Add (ri, ir)
  product = Concat <axis = -1> (re, im)
  back = DFT <axis = 1, inverse = 1> (product, double)
  real = Slice (back, zero, one, last)
  flat = Squeeze (real, last)
  y = Slice (flat, zero, shape, one)
}
"""


def runnable(path):
    """The file, with a body for LongConv nodes, which no runtime knows."""
    import onnx
    import onnx.parser

    model = onnx.load(path)
    if not any(node.domain == "ai.longconv" for node in model.graph.node):
        return model.SerializeToString()
    model.functions.append(onnx.parser.parse_function(LONG_CONV))
    if not any(each.domain == "ai.longconv" for each in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid("ai.longconv", 1))
    return model.SerializeToString()


# --- What went wrong, and what mends it ----------------------------------------------------------------------------------

DATA_DEPENDENT = r"data-dependent|DataDependent|_local_scalar_dense|unbacked|GuardOnDataDependent"

CONSTRAINTS = r"[Cc]onstraints violated|specialized|inferred to be a constant|[Ss]pecializ(ed|ing)"

WITHOUT_COUNTERPART = (r"(?:No ONNX function found|No decompositions registered|[Cc]ould not translate)[^']*'(?P<operator>[\w.:]+)'"
                       r"|<OpOverload\(op='(?P<overload>[\w.:]+)'")

# Operators that ONNX does not have, and what says the same without them; the first that fits.
OPERATOR_MENDS = [
    (r"^(?!aten\b|prims?\b|_c10d)", "Switch this operator, your own or a CUDA extension's, off in favour of its form in PyTorch: most layers have an option."),
    (r"\W_?(linalg_)?(lu|solve|inv|inverse|cholesky|ldl|triangular_solve|lstsq|pinv)\w*",
     "A solve with weights alone is done in __init__ and kept: self.register_buffer(…); (1 - z A) x = b of every z is a series, sum of A^i b z^i."),
    (r"\W_?(linalg_\w+|eig\w*|svd\w*|qr|geqrf|symeig|matrix_exp)", "What depends on weights alone is computed in __init__ and kept as a buffer: self.register_buffer(…)."),
    (r"\W_?(index_put|put|scatter|masked_scatter|index_\w+|diagonal_scatter|as_strided_scatter)\w*",
     "torch.where(mask, new, old) with a mask made from torch.arange, or torch.cat of the pieces, instead of writing into a tensor."),
    (r"\W_?(cummax|cummin|cumprod|prod|logcumsumexp)\w*",
     "torch.cumsum is what ONNX has: exp(cumsum(log x)) for a product, a matrix torch.where(i[:, None] >= i, x, …) and its maximum for the rest."),
    (r"\W_?(sort|argsort|msort|topk|kthvalue|median|nanmedian|mode|unique\w*|searchsorted|bucketize|histc)\w*",
     "torch.topk(x, k) over channels with a fixed k; an order over time looks at later positions, which no recurrence has."),
    (r"", "Write it with other operators."),
]

# What the exporter says, what that means, what mends it; the first that fits.
MENDS = [
    (r"an output of the module is complex|complex.*output",
     "an output of the module is complex, which ONNX does not have",
     "Return torch.view_as_real(y), or y.real."),
    (r"Untranslated: (?P<operator>\S+)",
     "{operator} has complex inputs, for which there is no translation",
     "Write it with the parts, torch.view_as_real(z), or use long_conv(x, kernel) from this file."),
    (r"No decompositions registered for the complex-valued input|[Cc]omplex.*not supported",
     "the exporter has no translation of an operator on complex numbers",
     "Write it with the parts, torch.view_as_real(z), or use long_conv(x, kernel) from this file."),
    (r"aten::_?fft\S* .*not supported|[Ee]xporting the operator 'aten::_?fft",
     "the TorchScript exporter has no FFT",
     "Export with dynamo=True, as this file does, or use long_conv(x, kernel)."),
    (r"next_fast_len", "the length of a transform is made a Python number, which fixes the length",
     "fft_size = 2 * x.shape[1]: any length that is long enough is right."),
    (DATA_DEPENDENT,
     "the control flow depends on values of the data",
     "Replace `if tensor:` by torch.where, or decide before the forward pass."),
    (r"triu_indices|tril_indices", "indices of a triangle are counted, which fixes the length",
     "i = torch.arange(n); torch.where(i[:, None] >= i, x, 0) has any length."),
    (CONSTRAINTS,
     "the model computes something from the batch size or the length as a Python number, which fixes it",
     "Take sizes from x.shape inside forward, never from a stored number, and build positions with torch.arange(n)."),
    (r"assigned during export|attribute .* was assigned",
     "forward stores a tensor on the module, so it would be kept for one length",
     "Return the tensor and compute it in every forward, or register it as a buffer in __init__."),
]

# What stands in the line that fixes a size, and the line that mends it.
SIZE_MENDS = [
    (r"next_fast_len", "fft_size = 2 * x.shape[1]: any length that is long enough is right"),
    (r"contract\(", "torch.einsum instead of opt_einsum's contract"),
    (r"tri[ul]_indices|index_put", "i = torch.arange(n); torch.where(i[:, None] >= i, x, 0) instead of indices of a triangle"),
    (r"\.item\(\)|\bint\(", "leave the size as x.shape gives it, without int() or .item()"),
    (r"cache|hasattr", "compute the kernel in forward from x.shape[1], and keep none on self"),
    (r"\bif\b|min\(|max\(", "pad, then cut, without asking: F.pad(k, (0, n))[..., :n] with n = x.shape[1]"),
    (r"reshape|view|expand|repeat", "x.shape[0] and x.shape[1] instead of numbers"),
    (r"", "take sizes from x.shape inside forward (n = x.shape[1]), never from a stored number"),
]


def failed(error):
    """The exporter's error with what it means, where in the module, and what mends it, before the exporter's own page."""
    text = chain_of(error)
    where = place_of(error)
    what, mend = explain(error) or unforeseen(error)
    return ExportFailed(f"{what}{f' ({where})' if where else ''}\n  {mend}\nthe exporter said: {text.strip()}")


def unforeseen(error):
    """What the first cause is and at which operator it came, for an error that no row is about."""
    text, first = chain_of(error), error
    while first.__cause__ or first.__context__:
        first = first.__cause__ or first.__context__
    operator = re.search(r"target=torch\.ops\.([\w.]+)|((?:aten|prims)(?:\.|::)\w+(?:\.\w+)?)", text)
    at = f" at {operator[1] or operator[2]}" if operator else ""
    return f"PyTorch's exporter stops with {type(first).__name__}{at}", f"{first_line(first)}. All that it says is below."


def chain_of(error):
    """The error's text and those of its causes, the innermost first: that is where it began."""
    texts = []
    while error is not None:
        texts.insert(0, f"{type(error).__name__}: {error}\n")
        error = error.__cause__ or error.__context__
    return "".join(texts)


def explain(error):
    """(what is wrong, what mends it) for a known failure of the exporter, else None."""
    text = chain_of(error)
    missing = re.search(WITHOUT_COUNTERPART, text)
    operator = missing and (missing["operator"] or missing["overload"])
    if operator and "Untranslated" not in text and not re.search("[Cc]omplex|fft", missing[0]):
        return f"{operator} has no counterpart in ONNX", next(mend for pattern, mend in OPERATOR_MENDS if re.search(pattern, operator))
    for pattern, what, mend in MENDS:
        found = re.search(pattern, text)
        if found:
            return what.format(**found.groupdict()), mend
    return None


FRAME = re.compile(r'File "([^"]+)", line (\d+), in (\S+)\n\s*(.*)')


def own(file):
    """Whether a file is the user's: neither a library's nor this one."""
    return "site-packages" not in file and "dist-packages" not in file and "/lib/python" not in file and not file.startswith("<") and Path(file).resolve() != Path(__file__).resolve()


def place_of(error):
    """file:line of the user's code in which an error began, or None."""
    told = [frame for frame in FRAME.findall(chain_of(error)) if own(frame[0])]
    while error is not None:
        noted = getattr(error, "place", None)
        frames = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__) if own(f.filename)]
        if noted or frames:
            return noted or "{}:{}".format(*frames[-1])
        error = error.__cause__ or error.__context__
    return "{}:{}".format(*told[-1]) if told else None


def line_of(node):
    """(file:line in function, the line's text) of the user's code that made a node of the graph."""
    frames = [frame for frame in FRAME.findall(node.stack_trace or "") if own(frame[0])]
    if not frames:
        return None, ""
    file, line, function, text = frames[-1]
    return f"{file}:{line} in {function}", text


def explain_sizes(found, module, examples, sizes, assumed):
    """The sentences on a check that failed: which sizes, the module and line that fixes one, the line that mends it."""
    said = [what for batch, _, what in found if batch is None]
    beyond = [each for each in found if each[0] is not None and assumed is not None and each[1] > assumed]
    wrong = [each for each in found if each[0] is not None and each not in beyond]
    if beyond:
        said.append(f"the file is for lengths up to {assumed}: {differences(beyond)}.")
    if wrong:
        why = which_size(module, examples, sizes) or GENERAL_MEND
        said.append(f"the file is not the module {differences(wrong)}. {why}")
    return said


def differences(found):
    return "; ".join(f"at batch size {batch} and length {length}: {what}" for batch, length, what in found)


def fixed_size(error, module, examples, sizes):
    """The failure of an export in which a size became a number."""
    why = which_size(module, examples, sizes) or GENERAL_MEND
    meant = "A model that is meant for one length is exported with `fixed` (--fixed)."
    return ExportFailed(f"the module has other sizes than those of its inputs. {why}\n  {meant}\nthe exporter said: {chain_of(error).strip()}")


GENERAL_MEND = "Take sizes from x.shape inside forward (n = x.shape[1]), never from a stored number."


def which_size(module, examples, sizes):
    """Which size is fixed, by which module and line, and the line that mends it; None where that is not found."""
    for size, other in (
        ("length", sizes.resized(examples, sizes.batch, prime_above(2 * sizes.length))),
        ("batch size", sizes.resized(examples, 2 * sizes.batch + 1, sizes.length)),
    ):
        owner = "the module"
        try:
            node = first_difference(module, examples, other, sizes)
            if node is None:
                continue
            place, text = line_of(node)
            stack = list((node.meta.get("nn_module_stack") or {}).values())
            if stack:
                owner = f"{stack[-1][0]} ({str(stack[-1][1]).rpartition('.')[2]})".lstrip()
        except Exception as error:  # the module itself does not take the other size
            place = place_of(error)
            text = linecache.getline(*place.rsplit(":", 1)[:1], int(place.rsplit(":", 1)[1])).strip() if place else ""
        if place is None:
            continue
        mend = next(mend for pattern, mend in SIZE_MENDS if re.search(pattern, text))
        return f"The {size} is fixed in {owner} at {place}: `{text}`. Mend: {mend}."
    return None


def first_difference(module, examples, other, sizes):
    """Where two exports that should be one, made at two sizes, part: the first node with another number, or None."""
    graphs = []
    for inputs in (examples, other):
        with quiet(), stand_ins(), torch.no_grad():
            program = torch.export.export(copied(module), inputs, dynamic_shapes=sizes.dynamic(torch.export.Dim.AUTO), strict=False)
        graphs.append([node for node in program.graph.nodes if node.op in ("call_function", "output")])
    for a, b in zip(*graphs):
        if a.target != b.target or numbers_of(a) != numbers_of(b):
            return a
    return None


def numbers_of(node):
    """A node's arguments that are no tensors, and the fixed sizes of those that are the module's own."""
    leaves = pytree.tree_leaves((node.args, node.kwargs))
    plain = [x for x in leaves if not isinstance(x, torch.fx.Node)]
    held = [x.meta.get("val") for x in leaves if isinstance(x, torch.fx.Node) and x.op == "placeholder"]
    return plain, [[size for size in x.shape if isinstance(size, int)] for x in held if isinstance(x, torch.Tensor)]


def first_line(error):
    return str(error).strip().split("\n")[0][:200]


def inspect(path, opset=None, fixed=False):
    """What is to be known about an exported file: another opset than asked for, fixed sizes, training, frozen kernels."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    found = []
    written = next((each.version for each in model.opset_import if each.domain == ""), opset)
    if opset is not None and written != opset:
        found.append(f"the file has opset {written}, not {opset}: the exporter could not write it in that one.")
    dynamic = any(dim.dim_param == "sequence_length" for value in model.graph.input for dim in value.type.tensor_type.shape.dim)
    if not dynamic and not fixed and model.graph.input:
        value = model.graph.input[0]
        sizes = [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        found.append(f"input '{value.name}' has the fixed sizes {sizes}: the converted model takes any length, but its kernel "
                     "ends there. Export with a dynamic length.")
    shapes = {value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim] for value in model.graph.value_info}
    for node in model.graph.node:
        if node.op_type != "DFT" or not dynamic:
            continue
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
        sizes = shapes.get(node.input[0], [])
        # at opset 20 the axis is an input and this looks at axis 1
        if axis < len(sizes) and isinstance(sizes[axis], int):
            found.append(f"node '{node.name}' transforms a fixed length of {sizes[axis]}: the kernel ends there. "
                         "Use x.shape[1] in forward, not a stored length, if it should not.")
            break
    for node in model.graph.node:
        if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
            found.append(f"node '{node.name}' is a Dropout with a training mode: call model.eval() before exporting.")
    return found


# --- The command -------------------------------------------------------------------------------------------------------


def build_from(target):
    """The module that FILE.py:FUNCTION returns."""
    file, _, function = target.partition(":")
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    source = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(Path(file).resolve().parent))
    spec.loader.exec_module(source)
    return getattr(source, function or "build")()


def example_of(text, vocabulary):
    """BATCHxLENGTH: token ids; with more sizes: a signal; BATCHxLENGTH:mask: a mask of ones."""
    text, _, kind = text.partition(":")
    sizes = [int(size) for size in text.split("x")]
    if kind == "mask":
        return torch.ones(*sizes, dtype=torch.int64)
    return torch.randn(*sizes) if len(sizes) >= 3 or kind == "signal" else torch.randint(0, vocabulary, sizes)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", help="FILE.py:FUNCTION that returns the module")
    parser.add_argument("--example", nargs="+", default=["2x64"],
                        help="one for each input: BATCHxLENGTH of token ids, BATCHxLENGTHxFEATURES of a signal, BATCHxLENGTH:mask")
    parser.add_argument("--vocabulary", type=int, default=2, help="token ids of the example are drawn below this")
    parser.add_argument("--out", default="model.onnx")
    parser.add_argument("--opset", type=int, default=18, help="default 18; the exporter keeps 18 where it cannot write an older one")
    parser.add_argument("--time-axis", type=int, default=1, help="axis of time: 1, or 2 for BATCHxCHANNELSxLENGTH")
    parser.add_argument("--longest", type=int, help="the largest length that the model is for")
    parser.add_argument("--fixed", action="store_true", help="for models that are meant for one length, that of the example")
    parser.add_argument("--no-check", action="store_true", help="do not run what was written")
    options = parser.parse_args()
    examples = tuple(example_of(text, options.vocabulary) for text in options.example)
    try:
        notes = export(build_from(options.target), examples, options.out, options.opset, longest=options.longest,
                       fixed=options.fixed, time_axis=options.time_axis, check=not options.no_check)
    except ExportFailed as error:
        sys.exit(f"export failed: {error}")
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    print(options.out)


if __name__ == "__main__":
    main()
