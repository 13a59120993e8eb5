"""Exports modules with an operator that ONNX does not have, one a kind, and prints what the helper says of each as JSON."""
import json
import sys
import tempfile
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "export"))
from longconv_export import ExportFailed, export  # noqa: E402


@torch.library.custom_op("mine::scan", mutates_args=())
def scan(x: torch.Tensor) -> torch.Tensor:
    return x.cumsum(1)


scan.register_fake(torch.empty_like)


def written(x, weight):
    return x.index_reduce(2, torch.tensor([0, 1]), x[:, :, :2], "prod")


def solved(x, weight):
    return torch.linalg.solve(weight, x.transpose(1, 2)).transpose(1, 2)


def eigenvalues(x, weight):
    return x * torch.linalg.eigvalsh(weight)


def cumulative(x, weight):
    return x.cummax(1)[0]


def ordered(x, weight):
    return x.kthvalue(2, dim=2)[0]


def custom(x, weight):
    return scan(x)


def broken(x, weight):
    return x @ torch.ones(3)


class Module(nn.Module):
    def __init__(self, of):
        super().__init__()
        self.of, self.weight = of, nn.Parameter(torch.eye(4) + 0.1)

    def forward(self, x):
        return self.of(x, self.weight)


def main():
    said = {}
    with tempfile.TemporaryDirectory() as folder:
        for of in (written, solved, eigenvalues, cumulative, ordered, custom, broken):
            try:
                said[of.__name__] = export(Module(of), torch.randn(2, 16, 4), Path(folder) / "model.onnx")
            except ExportFailed as error:
                said[of.__name__] = str(error).split("the exporter said:")[0]
    print(json.dumps(said))


if __name__ == "__main__":
    main()
