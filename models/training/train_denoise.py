"""Train the grey denoiser and write models/denoise.onnx.

    python prepare.py DATA_DIR PREPARED_DIR
    python train_denoise.py PREPARED_DIR SET12_DIR denoise.onnx --minutes 4

A residual CNN at half resolution (pixel unshuffle, after FFDNet) that is told the noise level. Patches come from the
same pictures as the colorizer's, in grey and mostly reduced, because they are small JPEG files and reduction removes
most of the JPEG noise. Set12 is only measured.
"""
from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from onnx_graph import Graph

WIDTH, BLOCKS, PATCH = 64, 8, 96
# Reduced to this size, and how often. Full size only where the files hold real detail.
SCALES = {0.6: 0.5, 0.8: 0.3, 1.0: 0.2}
WEIGHTS = {
    "caltech101": 0.25, "nips17_ccby": 0.3, "food": 0.15, "unsplash": 0.12, "documerica": 0.06, "us_house": 0.03,
    "metadata_extractor": 0.05, "based_cooking": 0.02, "dreambooth": 0.02,
}  # fmt: skip


class Denoiser(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(5, WIDTH, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU(), nn.Conv2d(WIDTH, WIDTH, 3, padding=1))
            for _ in range(BLOCKS)
        )
        self.tail = nn.Conv2d(WIDTH, 4, 3, padding=1)
        for block in self.blocks:  # start near the identity
            nn.init.normal_(block[2].weight, std=1e-3)
        nn.init.normal_(self.tail.weight, std=1e-3)

    def forward(self, grey: Tensor, sigma: Tensor) -> Tensor:
        x = F.pixel_unshuffle(grey, 2)
        level = sigma.view(-1, 1, 1, 1).expand(x.shape[0], 1, *x.shape[2:])
        y = F.relu(self.head(torch.cat([x, level], 1).contiguous(memory_format=torch.channels_last)))
        for block in self.blocks:
            y = y + block(y)
        # What is taken out fades with the level below one code value: there, a picture is cleaner than the guess.
        return grey - F.pixel_shuffle(self.tail(y).float(), 2) * (sigma.view(-1, 1, 1, 1) * 255).clamp(max=1)


class Patches:
    def __init__(self, folder: Path, device: torch.device, seed: int, small: bool) -> None:
        rows = json.loads((folder / "pictures.json").read_text())
        rows = [r for r in rows if not r["held"] and r["set"] in WEIGHTS]
        if small:
            rows = rows[:200]
        pixels = np.load(folder / "pictures.npy", mmap_mode="r")
        self.device = device
        self.rng = torch.Generator(device).manual_seed(seed)
        luma = torch.tensor([0.299, 0.587, 0.114], device=device)
        self.pools = {}
        for scale in SCALES:
            use = [r for r in rows if min(r["h"], r["w"]) * scale >= PATCH]
            if scale == 1.0:
                use = [r for r in use if r["set"] in ("unsplash", "documerica", "nips17_ccby", "caltech101")]
            side = round(256 * scale)
            pool = torch.empty((len(use), side, side), dtype=torch.uint8, device=device)
            for i in range(0, len(use), 512):
                part = torch.from_numpy(pixels[[r["slot"] for r in use[i : i + 512]]]).to(device)
                grey = (part.float() @ luma)[:, None]
                if scale != 1.0:
                    grey = F.interpolate(grey, (side, side), mode="bicubic", antialias=True, align_corners=False)
                pool[i : i + 512] = grey[:, 0].round().clamp(0, 255).byte()
            room = torch.tensor([[int(r["h"] * scale) - PATCH, int(r["w"] * scale) - PATCH] for r in use], device=device)
            count: dict[str, int] = {}
            for r in use:
                count[r["set"]] = count.get(r["set"], 0) + 1
            weight = torch.tensor([WEIGHTS[r["set"]] / count[r["set"]] for r in use], device=device)
            self.pools[scale] = (pool, room, weight)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, device=self.device, generator=self.rng)

    def batch(self, scale: float, n: int) -> Tensor:
        pool, room, weight = self.pools[scale]
        index = torch.multinomial(weight, n, replacement=True, generator=self.rng)
        at = (self.uniform(n, 2) * (room[index] + 1)).long()
        t = torch.arange(PATCH, device=self.device)
        flip = self.uniform(n, 2) < 0.5
        ys = at[:, :1] + torch.where(flip[:, :1], PATCH - 1 - t, t)
        xs = at[:, 1:] + torch.where(flip[:, 1:], PATCH - 1 - t, t)
        return pool[index[:, None, None], ys[:, :, None], xs[:, None, :]][:, None].float() / 255


def noise(clean: Tensor) -> tuple[Tensor, Tensor]:
    """Gaussian noise of level 0 to 60 (of 255); four patches in ten get it correlated, like film grain.

    Correlated means: blurred by a Gaussian of radius 0.3 to 1.2 pixels and brought back to its level. The network is
    told the level only, and has to see the correlation in the noise itself.
    """
    n, dev = clean.shape[0], clean.device
    sigma = torch.rand(n, 1, 1, 1, device=dev) * (60 / 255)
    radius = torch.rand(n, 1, device=dev) * 0.9 + 0.3
    taps = torch.arange(-4, 5, device=dev)
    kernel = torch.where(torch.rand(n, 1, device=dev) < 0.4, torch.exp(-0.5 * (taps / radius) ** 2), (taps == 0).float())
    kernel = kernel / kernel.pow(2).sum(1, keepdim=True).sqrt()  # a sum of squares of 1 keeps the deviation
    z = torch.randn_like(clean).transpose(0, 1)
    z = F.conv2d(F.pad(z, (4, 4, 0, 0), mode="circular"), kernel[:, None, None, :], groups=n)
    z = F.conv2d(F.pad(z, (0, 0, 4, 4), mode="circular"), kernel[:, None, :, None], groups=n)
    return clean + sigma * z.transpose(0, 1), sigma


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return -10 * math.log10(float(np.mean((a - b) ** 2)))


def set12(folder: Path, run) -> dict[int, float]:
    """Mean PSNR; the noise is numpy's default generator, seeded by picture number and level."""
    out = {}
    for sigma in (15, 25, 50):
        values = []
        for i, file in enumerate(sorted(folder.glob("*.png"))):
            clean = np.asarray(Image.open(file).convert("L"), np.float32) / 255
            z = np.random.default_rng([i, sigma]).standard_normal(clean.shape, np.float32)
            got = run((clean + z * sigma / 255)[None, None], np.float32(sigma / 255))
            values.append(psnr(np.clip(got[0, 0], 0, 1), clean))
        out[sigma] = float(np.mean(values))
    return out


def export(net: Denoiser, path: str) -> None:
    g = Graph("denoise")
    grey, sigma = g.input("grey", [1, 1, "height", "width"]), g.input("sigma", [1])

    def conv(x: str, c: nn.Conv2d) -> str:
        weights = [g.weight(t.detach().cpu().numpy()) for t in (c.weight, c.bias)]
        return g.op("Conv", x, *weights, kernel_shape=[3, 3], pads=[1, 1, 1, 1])

    x = g.op("SpaceToDepth", grey, blocksize=2)
    size = g.op("Concat", g.constant(np.array([1, 1], np.int64)), g.op("Shape", x, start=2), axis=0)
    level = g.op("Expand", g.op("Reshape", sigma, g.constant(np.array([1, 1, 1, 1], np.int64))), size)
    y = g.op("Relu", conv(g.op("Concat", x, level, axis=1), net.head))
    for first, _, second in net.blocks:
        y = g.op("Add", y, conv(g.op("Relu", conv(y, first)), second))
    share = g.op("Min", g.op("Mul", sigma, g.constant(np.float32(255))), g.constant(np.float32(1)))
    rest = g.op("Sub", grey, g.op("Mul", g.op("DepthToSpace", conv(y, net.tail), blocksize=2, mode="DCR"), share))
    g.op("Clip", rest, g.constant(np.float32(0)), g.constant(np.float32(1)), out="clean")
    g.output("clean", [1, 1, "height", "width"])
    g.save(path, {"id": "denoise", "licence": "Apache-2.0", "source": "trained by models/training/train_denoise.py"})


def main() -> None:
    ap = argparse.ArgumentParser(description="train the grey denoiser")
    ap.add_argument("prepared", type=Path)
    ap.add_argument("set12", type=Path)
    ap.add_argument("file", type=Path)
    ap.add_argument("--minutes", type=float, default=4.0)
    ap.add_argument("--seed", type=int, default=20261124)
    ap.add_argument("--lr", type=float, default=1.5e-3)
    ap.add_argument("--batch", type=int, default=128)
    ap.add_argument("--device", default="cuda")
    ap.add_argument("--small", action="store_true", help="few pictures, to try the script out")
    args = ap.parse_args()
    torch.manual_seed(args.seed)
    dev = torch.device(args.device)
    net = Denoiser().to(dev).to(memory_format=torch.channels_last)
    opt = torch.optim.Adam(net.parameters(), lr=args.lr, betas=(0.9, 0.99), fused=dev.type == "cuda")
    average = [p.detach().clone() for p in net.parameters()]

    def objective(clean: Tensor) -> Tensor:
        noisy, sigma = noise(clean)
        with torch.autocast(dev.type, torch.bfloat16, enabled=dev.type == "cuda"):
            got = net(noisy, sigma)
        # The mean of the logarithm is the mean PSNR: every noise level counts the same.
        return (got - clean).pow(2).mean((1, 2, 3)).add(1e-7).log().mean()

    step_fn = torch.compile(objective, dynamic=False) if dev.type == "cuda" else objective
    step_fn(torch.rand(args.batch, 1, PATCH, PATCH, device=dev)).backward()
    opt.zero_grad(set_to_none=True)
    patches = Patches(args.prepared, dev, args.seed, args.small)
    print({s: len(p[0]) for s, p in patches.pools.items()}, sum(p.numel() for p in net.parameters()), "parameters", flush=True)
    chooser = np.random.default_rng(args.seed)
    began = time.time()
    step, told, total = 0, 0.0, torch.zeros((), device=dev)
    while (p := (time.time() - began) / (args.minutes * 60)) < 1:
        lr = args.lr * min(1.0, (step + 1) / 300) * (0.5 + 0.5 * math.cos(math.pi * p)) + 1e-6
        opt.param_groups[0]["lr"] = lr
        scale = float(chooser.choice(list(SCALES), p=list(SCALES.values())))
        loss = step_fn(patches.batch(scale, args.batch))
        loss.backward()
        norm = torch.nn.utils.get_total_norm([q.grad for q in net.parameters()])
        if dev.type == "cuda":
            opt.grad_scale, opt.found_inf = norm.clamp(min=1.0), (~torch.isfinite(norm)).float()
        opt.step()
        opt.zero_grad(set_to_none=True)
        torch._foreach_lerp_(average, [q.detach() for q in net.parameters()], 1 - min(0.999, (step + 1) / (step + 10)))
        total += torch.nan_to_num(loss.detach())
        step += 1
        if time.time() - began - told > 20:
            told = time.time() - began
            print(f"denoise {told:4.0f} s step {step} loss {float(total) / step:.3f} (mean so far) last {float(loss):.3f}", flush=True)
    with torch.no_grad():
        for q, a in zip(net.parameters(), average):
            q.copy_(a.half().float())  # exactly what the file stores
    net.eval()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False

    @torch.no_grad()
    def run(x: np.ndarray, s: np.float32) -> np.ndarray:
        return net(torch.from_numpy(x).to(dev), torch.tensor([s], device=dev)).cpu().numpy()

    print(f"denoise: {step} steps of {args.batch}, Set12 PSNR", {k: round(v, 3) for k, v in set12(args.set12, run).items()}, flush=True)
    args.file.parent.mkdir(parents=True, exist_ok=True)
    export(net, str(args.file))
    data = args.file.read_bytes()
    print(f"{args.file.name}: {len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
