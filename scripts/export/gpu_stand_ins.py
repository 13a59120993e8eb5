"""What stands in for modules that need a GPU, or another package, while published networks are tried."""
import sys
import types


def stand_in(name, **contents):
    """A module that has these alone; one without any is not installed."""
    module = types.ModuleType(name)
    vars(module).update(contents)
    sys.modules[name] = module if contents else None


def flash_attention(folder):
    """The modules of a checkout of flash-attention, without its kernels."""
    sys.path.insert(0, str(folder / "flash-attention"))
    import torch

    def apply_rotary(x, cos, sin, seqlen_offsets=0, cu_seqlens=None, max_seqlen=None, interleaved=False, inplace=False, conjugate=False):
        if cu_seqlens is not None or conjugate:
            raise NotImplementedError("sequences one behind the other, and gradients")
        half = cos.shape[-1]
        cos, sin = (table[seqlen_offsets:seqlen_offsets + x.shape[1], None] for table in (cos, sin))
        first, second = (x[..., :2 * half:2], x[..., 1:2 * half:2]) if interleaved else (x[..., :half], x[..., half:2 * half])
        pair = first * cos - second * sin, first * sin + second * cos
        turned = torch.stack(pair, -1).flatten(-2) if interleaved else torch.cat(pair, -1)
        whole = torch.cat([turned, x[..., 2 * half:]], -1)
        return x.copy_(whole) if inplace else whole

    stand_in("flash_attn.ops.triton.rotary", apply_rotary=apply_rotary)
    # asks for a GPU when it is imported; the modules that would use it do without
    stand_in("flash_attn.ops.triton.layer_norm")
    # of matrices spread over several GPUs; safari asks whether a layer is one
    stand_in("fused_dense_lib", linear_bias_wgrad=None)


def whole_depth():
    """torchvision's StochasticDepth leaves out nothing where a model is not trained."""
    import torch

    stand_in("torchvision.ops", StochasticDepth=lambda *_, **__: torch.nn.Identity())


class Places:
    """Where a generation stands, under the names of every version of flash-attention."""

    def __init__(self, longest):
        self.max_seqlen = self.max_sequence_len = longest
        self.max_batch_size, self.batch_size_offset = 1, 0
        self.key_value_memory_dict, self.lengths_per_sample = {}, None
        self.seqlen_offset = self.sequence_len_offset = 0
