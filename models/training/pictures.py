"""The pictures the starter is trained on: how often each is drawn, and crops of them, made on the device."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colour import linear_to_lab, to_linear

LARGE_SHARE = {384: 3, 768: 1}  # pictures of a batch that come from the high-resolution pool
VEGETATION, INTERIOR = 2.0, 1.5  # a picture full of it is drawn 1 + this times as often as its set's others
# ImageNet classes that are rooms, their furniture, shops and stages.
INTERIORS = (
    406, 415, 421, 423, 424, 435, 453, 454, 467, 492, 493, 495, 498, 509, 516, 520, 526, 527, 532, 534, 548, 553, 556, 559,
    564, 579, 582, 598, 605, 619, 624, 648, 651, 664, 736, 743, 750, 760, 762, 765, 782, 788, 794, 799, 819, 827, 831, 846,
    850, 851, 854, 857, 860, 861, 865, 876, 881, 894, 896, 905,
)  # fmt: skip
# Weight of each set in the draw. Garments and groceries have arbitrary colours: low.
WEIGHTS = {
    "caltech101": 0.38, "nips17_ccby": 0.18, "fsa_colour": 0.15, "congress": 0.09, "us_house": 0.02,
    "food": 0.04, "metadata_extractor": 0.04, "clothing": 0.02, "documerica": 0.03, "unsplash": 0.015,
    "based_cooking": 0.01, "dreambooth": 0.01, "azure_samples": 0.01, "grocery": 0.005,
}  # fmt: skip


class Pictures:
    """All training pictures on the device as uint8; crops are drawn and resampled there."""

    def __init__(self, folder: Path, device: torch.device, seed: int, teacher: nn.Module, area: float, cutmix: float) -> None:
        self.area, self.cutmix = area, cutmix
        rows = json.loads((folder / "pictures.json").read_text())
        self.rows = [r for r in rows if not r["held"]]
        pixels = np.load(folder / "pictures.npy", mmap_mode="r")
        self.small = torch.empty((len(self.rows), 256, 256, 3), dtype=torch.uint8, device=device)
        slots = np.array([r["slot"] for r in self.rows])
        for i in range(0, len(slots), 2048):
            self.small[i : i + 2048] = torch.from_numpy(pixels[slots[i : i + 2048]]).to(device)
        self.extent = torch.tensor([[r["h"], r["w"]] for r in self.rows], device=device, dtype=torch.float32)
        # A category with many pictures (800 airplanes) counts by the square root of its number.
        count: dict[tuple[str, str], int] = {}
        for r in self.rows:
            key = (r["set"], r["category"])
            count[key] = count.get(key, 0) + 1

        def balance(r: dict) -> float:
            crowded = r["set"] == "caltech101" and r["category"] != "BACKGROUND_Google"
            return count[r["set"], r["category"]] ** -0.5 if crowded else 1.0

        kept = torch.tensor([balance(r) for r in self.rows], device=device) * self.wanted(teacher)
        total: dict[str, float] = {}
        for r, k in zip(self.rows, kept.tolist()):
            total[r["set"]] = total.get(r["set"], 0) + k
        self.weight = kept * torch.tensor([WEIGHTS[r["set"]] / total[r["set"]] for r in self.rows], device=device)
        big = [r for r in self.rows if "large" in r]
        pixels = np.load(folder / "large.npy", mmap_mode="r")
        self.large = torch.from_numpy(pixels[[r["large"][0] for r in big]]).to(device)
        self.large_extent = torch.tensor([r["large"][1:] for r in big], device=device, dtype=torch.float32)
        self.rng = torch.Generator(device).manual_seed(seed)

    @torch.no_grad()
    def wanted(self, teacher: nn.Module) -> Tensor:
        """How often a picture is drawn: 1, and more the more vegetation it shows or the surer it is an interior."""
        interior = torch.zeros(1000, device=self.small.device)
        interior[list(INTERIORS)] = 1
        out, shown = [], [0.0, 0.0]
        for i in range(0, len(self.rows), 256):
            pixels = self.small[i : i + 256].permute(0, 3, 1, 2).float() / 255
            parts = [
                F.interpolate(p[None, :, : int(h), : int(w)], (192, 192), mode="bilinear", antialias=True, align_corners=False)
                for p, (h, w) in zip(pixels, self.extent[i : i + 256].tolist())
            ]
            rgb = torch.cat(parts).clamp(0, 1)
            lab = linear_to_lab(to_linear(F.avg_pool2d(rgb, 4)))
            hue = torch.rad2deg(torch.atan2(lab[:, 2], lab[:, 1]))
            green = (hue > 95) & (hue < 155) & (lab[:, 1:].norm(dim=1) > 12) & (lab[:, 0] > 12) & (lab[:, 0] < 85)
            green = (green.float().mean((1, 2)) / 0.25).clamp(max=1)
            *_, pooled = teacher.features(rgb)
            room = ((teacher._fc(pooled).float().softmax(1) * interior).sum(1) / 0.4).clamp(max=1)
            shown = [shown[0] + float((green > 0.5).sum()), shown[1] + float((room > 0.5).sum())]
            out.append((1 + VEGETATION * green) * (1 + INTERIOR * room))
        self.shown = shown
        return torch.cat(out)

    def uniform(self, n: int, low: float, high: float) -> Tensor:
        return torch.rand(n, device=self.small.device, generator=self.rng) * (high - low) + low

    @torch.no_grad()
    def held_back(self, folder: Path, count: int, size: int) -> Tensor:
        """Some of the pictures that are never trained on, squeezed, to see how training goes."""
        rows = [r for r in json.loads((folder / "pictures.json").read_text()) if r["held"] and not r["tile"]]
        rows = rows[:: max(1, len(rows) // count)]
        pixels = np.load(folder / "pictures.npy", mmap_mode="r")
        whole = [torch.from_numpy(pixels[r["slot"], : r["h"], : r["w"]].copy()).permute(2, 0, 1)[None].float() / 255 for r in rows]
        small = [F.interpolate(x, (size, size), mode="bilinear", antialias=True, align_corners=False) for x in whole]
        return torch.cat(small).clamp(0, 1).to(self.small.device)

    def crops(self, pool: Tensor, extent: Tensor, index: Tensor, size: int) -> Tensor:
        n, side = len(index), pool.shape[1]
        h, w = extent[index].unbind(1)
        area, ratio = self.uniform(n, self.area, 1.0) * h * w, self.uniform(n, -0.2, 0.2).exp()
        ch, cw = torch.minimum((area / ratio).sqrt(), h), torch.minimum((area * ratio).sqrt(), w)
        y0, x0 = self.uniform(n, 0, 1) * (h - ch), self.uniform(n, 0, 1) * (w - cw)
        t = (torch.arange(size, device=pool.device) + 0.5) / size
        flip = (self.uniform(n, 0, 1) < 0.5)[:, None]
        tx = torch.where(flip, 1 - t[None], t[None])
        # Half a pixel inside the picture, so that the black rest of its square never bleeds in.
        ys = torch.minimum((y0[:, None] + t * ch[:, None]).clamp(min=0.5), h[:, None] - 0.5) * (2 / side) - 1
        xs = torch.minimum((x0[:, None] + tx * cw[:, None]).clamp(min=0.5), w[:, None] - 0.5) * (2 / side) - 1
        grid = torch.stack([xs[:, None, :].expand(n, size, size), ys[:, :, None].expand(n, size, size)], 3)
        rgb = pool[index].permute(0, 3, 1, 2).float().div_(255)
        return F.grid_sample(rgb, grid, mode="bilinear", align_corners=False)

    def batch(self, size: int, n: int) -> Tensor:
        k = LARGE_SHARE.get(size, 0) if len(self.large) else 0
        index = torch.multinomial(self.weight, n - k, replacement=True, generator=self.rng)
        rgb = self.crops(self.small, self.extent, index, size)
        if k:
            index = torch.randint(len(self.large), (k,), device=self.large.device, generator=self.rng)
            rgb = torch.cat([rgb, self.crops(self.large, self.large_extent, index, size)])
        # CutMix: some pictures receive a rectangle of their neighbour.
        m = rgb.shape[0]
        t = torch.arange(size, device=rgb.device) / size
        side = self.uniform(m, 0.1, 0.5).sqrt() * (self.uniform(m, 0, 1) < self.cutmix)
        y0, x0 = self.uniform(m, 0, 1) * (1 - side), self.uniform(m, 0, 1) * (1 - side)
        rows = (t >= y0[:, None]) & (t < (y0 + side)[:, None])
        cols = (t >= x0[:, None]) & (t < (x0 + side)[:, None])
        return torch.where((rows[:, :, None] & cols[:, None, :])[:, None], rgb.roll(1, 0), rgb)
