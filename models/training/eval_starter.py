"""Measure a trained starter and paint contact sheets.

    python eval_starter.py WEIGHTS PREPARED_DIR OUT_DIR [--aside DIR] [--scans DIR]

WEIGHTS is the exported file or the folder with the two parts that training writes. Every picture is squeezed to
S x S, as the official code does. `ratio` is the ab error against the error of leaving the picture grey:
sum of squared errors of all pictures over sum of squared chroma. `colourfulness` compares std(a, b) + 0.37 x mean
chroma, of the network over the truth, averaged over pictures. Both are also given for the output times 0.8 to 1.3.
"""
import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from safetensors.torch import load_file
from torch import Tensor

from colour import lab_to_rgb, linear_to_lab, luminance, to_gamma, to_linear
from ddcolor import STARTER, DDColor

GAINS = (0.8, 0.9, 1.0, 1.1, 1.2, 1.3)


def load(path: Path) -> DDColor:
    """FP32 network whose output is in Lab units."""
    net = DDColor(STARTER).eval()
    if path.is_dir():
        state = load_file(path / "starter-0.safetensors") | load_file(path / "starter-1.safetensors")
        for key in ("refine_net.0.0.weight", "refine_net.0.0.bias"):
            state[key] = state[key].float() * 20
    else:
        state = load_file(path)
    net.load_state_dict({k: v.float() for k, v in state.items()})
    return net


def squeeze(rgb: Tensor, size: int) -> Tensor:
    return F.interpolate(rgb, (size, size), mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)


def grey_and_lab(rgb: Tensor) -> tuple[Tensor, Tensor]:
    lin = to_linear(rgb)
    return to_gamma(luminance(lin)[:, None]).expand(-1, 3, -1, -1).contiguous(), linear_to_lab(lin)


def colourfulness(ab: Tensor) -> Tensor:
    return ab.var((2, 3)).sum(1).sqrt() + 0.37 * ab.pow(2).sum(1).sqrt().mean((1, 2))


class Score:
    def __init__(self) -> None:
        self.pp = self.pt = self.tt = 0.0
        self.colour: list[float] = []

    def add(self, guess: Tensor, truth: Tensor) -> None:
        n = truth.shape[0]
        self.pp += float(guess.pow(2).mean()) * n
        self.pt += float((guess * truth).mean()) * n
        self.tt += float(truth.pow(2).mean()) * n
        self.colour += (colourfulness(guess) / colourfulness(truth).clamp(min=1)).tolist()

    def ratio(self, gain: float) -> float:
        return (gain * gain * self.pp - 2 * gain * self.pt + self.tt) / self.tt

    def line(self) -> str:
        c = float(np.mean(self.colour))
        return " ".join(f"{self.ratio(g):.3f}/{g * c:.2f}" for g in GAINS)


def fit(im: Image.Image, side: int) -> Image.Image:
    """Aspect kept, long side about `side`, both sides multiples of 32."""
    w, h = im.size
    k = side / max(w, h)
    return im.resize((max(32, round(w * k / 32) * 32), max(32, round(h * k / 32) * 32)), Image.LANCZOS)


@torch.no_grad()
def paint(net: DDColor, im: Image.Image, side: int, device: str) -> Image.Image:
    rgb = torch.from_numpy(np.asarray(fit(im.convert("RGB"), side)).copy()).permute(2, 0, 1)[None].float().to(device) / 255
    grey, lab = grey_and_lab(rgb)
    lab = torch.cat([lab[:, :1], net(grey).float()], 1)
    return Image.fromarray((lab_to_rgb(lab)[0].permute(1, 2, 0) * 255 + 0.5).byte().cpu().numpy())


def sheet(pictures: list[Image.Image], names: list[str], path: Path, columns: int, cell: int) -> None:
    rows = -(-len(pictures) // columns)
    page = Image.new("RGB", (columns * cell, rows * (cell + 12)), "black")
    draw = ImageDraw.Draw(page)
    for i, (im, name) in enumerate(zip(pictures, names)):
        im.thumbnail((cell - 2, cell - 2))
        x, y = i % columns * cell, i // columns * (cell + 12)
        page.paste(im, (x, y))
        draw.text((x, y + cell), name, "white")
    page.save(path, quality=88)


def main() -> None:
    ap = argparse.ArgumentParser()
    ap.add_argument("weights", type=Path)
    ap.add_argument("prepared", type=Path)
    ap.add_argument("out", type=Path)
    ap.add_argument("--aside", type=Path, help="folder of colour pictures that nothing was trained on")
    ap.add_argument("--no-sheets", action="store_true", help="numbers only")
    ap.add_argument("--scans", type=Path, help="folder of black-and-white scans, to look at")
    ap.add_argument("--sizes", type=int, nargs="+", default=[192, 224, 256, 384, 512, 640, 960, 1280])
    ap.add_argument("--limit", type=int, default=10**9, help="held-back pictures to use")
    ap.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = ap.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    dev = args.device
    args.out.mkdir(parents=True, exist_ok=True)
    net = load(args.weights).to(dev).to(memory_format=torch.channels_last)
    # Speed: large batches run in FP16, which is also how the product runs; the check at the end compares it with FP32.
    half = load(args.weights).to(dev).to(memory_format=torch.channels_last)
    half = half.half() if dev == "cuda" else half
    lines = []

    def say(text: str) -> None:
        print(text, flush=True)
        lines.append(text)

    @torch.no_grad()
    def run(model: DDColor, grey: Tensor) -> Tensor:
        dtype = next(model.parameters()).dtype
        return model(grey.to(dtype).contiguous(memory_format=torch.channels_last)).float()

    rows = [r for r in json.loads((args.prepared / "pictures.json").read_text()) if r["held"] and not r["tile"]]
    rows = rows[: args.limit]
    pixels = np.load(args.prepared / "pictures.npy", mmap_mode="r")
    held = [torch.from_numpy(pixels[r["slot"], : r["h"], : r["w"]].copy()).permute(2, 0, 1)[None] for r in rows]
    say(f"columns: size, then ratio/colourfulness at output gain {GAINS}")
    say(f"held back, {len(rows)} pictures")
    for size in args.sizes:
        began = time.time()
        total, by_set = Score(), {}
        n = max(1, 64 * 192 * 192 // size**2)
        for i in range(0, len(rows), n):
            rgb = torch.cat([squeeze(x.to(dev).float() / 255, size) for x in held[i : i + n]])
            grey, lab = grey_and_lab(rgb)
            guess = run(half, grey)
            total.add(guess, lab[:, 1:])
            for r, g, t in zip(rows[i : i + n], guess, lab[:, 1:]):
                by_set.setdefault(r["set"], Score()).add(g[None], t[None])
        say(f"  {size:4d}  {total.line()}   [{time.time() - began:.0f} s]")
        if size in (224, 512):
            for name, score in sorted(by_set.items()):
                say(f"        {name:20s} {len(score.colour):4d}  {score.line()}")
    if args.aside:
        files = sorted(args.aside.glob("*.jpg"))
        images = [Image.open(f).convert("RGB") for f in files]
        say(f"kept aside ({args.aside.name}), {len(files)} pictures")
        drift: list[np.ndarray] = []
        for size in args.sizes:
            score, even = Score(), Score()
            for im in images:
                rgb = torch.from_numpy(np.asarray(im).copy()).permute(2, 0, 1)[None].to(dev).float() / 255
                grey, lab = grey_and_lab(squeeze(rgb, size))
                guess = run(net, grey)
                score.add(guess, lab[:, 1:])
                even.add(*(ab - ab.mean((2, 3), keepdim=True) for ab in (guess, lab[:, 1:])))
                if size == 512:
                    drift.append((run(half, grey) - guess).pow(2).sum(1).sqrt().flatten().cpu().numpy())
            say(f"  {size:4d}  {score.line()}")
            say(f"  without each picture's mean tint: {even.line()}")
        if drift:
            d = np.concatenate(drift)
            say(f"FP16 against FP32 at 512: chroma distance mean {d.mean():.4f}, 99.9 % {np.quantile(d, 0.999):.3f}, max {d.max():.3f}")
        pages: list[Image.Image] = []
        for im in images if not args.no_sheets else []:
            pages += [im.copy(), paint(net, im, 512, dev)]
        if pages:
            sheet(pages, [x for f in files for x in (f.stem, "painted")], args.out / "aside.jpg", 8, 240)
    if args.scans and not args.no_sheets:
        files = sorted(args.scans.glob("*.jpg"))
        for k in range(0, len(files), 25):
            some = files[k : k + 25]
            sheet([paint(net, Image.open(f), 512, dev) for f in some], [f.stem for f in some], args.out / f"scans-{k // 25}.jpg", 5, 360)
    (args.out / "eval.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
