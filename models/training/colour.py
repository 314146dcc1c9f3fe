"""sRGB and CIE Lab (D65) on tensors, RGB in [0, 1], channels at dimension 1."""
import torch
from torch import Tensor

# Linear sRGB to XYZ, each row divided by the white point, so that white gives 1, 1, 1.
_XYZ = (
    (0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883),
)


def to_linear(rgb: Tensor) -> Tensor:
    return torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def to_gamma(lin: Tensor) -> Tensor:
    return torch.where(lin <= 0.0031308, lin * 12.92, 1.055 * lin.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


def linear_to_lab(lin: Tensor) -> Tensor:
    r, g, b = lin.unbind(1)
    f = []
    for row in _XYZ:
        t = row[0] * r + row[1] * g + row[2] * b
        f.append(torch.where(t > 216 / 24389, t.clamp(min=216 / 24389) ** (1 / 3), (24389 / 27 * t + 16) / 116))
    return torch.stack([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])], 1)


def rgb_to_lab(rgb: Tensor) -> Tensor:
    return linear_to_lab(to_linear(rgb))


def luminance(lin: Tensor) -> Tensor:
    r, g, b = lin.unbind(1)
    return 0.2126729 * r + 0.7151522 * g + 0.0721750 * b


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Out-of-gamut values are clipped a channel at a time: good enough to look at."""
    light, a, b = lab.unbind(1)
    fy = (light + 16) / 116
    xyz = []
    for f, white in ((fy + a / 500, 0.95047), (fy, 1.0), (fy - b / 200, 1.08883)):
        xyz.append(torch.where(f > 6 / 29, f**3, (116 * f - 16) * 27 / 24389) * white)
    x, y, z = xyz
    r = 3.2404542 * x - 1.5371385 * y - 0.4985314 * z
    g = -0.9692660 * x + 1.8760108 * y + 0.0415560 * z
    b = 0.0556434 * x - 0.2040259 * y + 1.0572252 * z
    return to_gamma(torch.stack([r, g, b], 1).clamp(0, 1)).clamp(0, 1)
