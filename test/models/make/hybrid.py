"""A hybrid language model: the demo's network with one of its long convolutions replaced by attention in a sliding window.

Own code. The state dict has the names that the demo's has, where the layers are the same.
"""
import torch
from torch import nn
from torch.nn import functional as F
from tnn import Tnn


def turned(x, angles):
    """Rotary positions: the first half of each head's values with the second. x: [batch, heads, n, size]; angles: [n, size / 2]"""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], -1)


class Attention(nn.Module):
    """softmax(Q Kᵀ / √size) V over the position itself and the window - 1 before it."""

    def __init__(self, width, heads, window):
        super().__init__()
        self.heads, self.window = heads, window
        self.q, self.k, self.v, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        size = width // heads
        self.register_buffer("speeds", 10_000.0 ** (-torch.arange(0, size, 2) / size), persistent=False)

    def forward(self, x):
        b, n, width = x.shape
        q, k, v = (layer(x).reshape(b, n, self.heads, -1).transpose(1, 2) for layer in (self.q, self.k, self.v))
        i = torch.arange(n)
        angles = i[:, None] * self.speeds
        ahead = i[None, :] - i[:, None]
        seen = (ahead <= 0) & (ahead > -self.window)
        y = F.scaled_dot_product_attention(turned(q, angles), turned(k, angles), v, attn_mask=seen)
        return self.out(y.transpose(1, 2).reshape(b, n, width))


class Hybrid(Tnn):
    def __init__(self, attention=1, attention_heads=4, window=128, **config):
        super().__init__(**config)
        self.config = dict(config, attention=attention, attention_heads=attention_heads, window=window)
        self.mixers[attention] = Attention(config["width"], attention_heads, window)
