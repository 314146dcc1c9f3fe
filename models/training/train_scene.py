"""Train the scene router and write models/scene.onnx.

    python prepare.py DATA_DIR PREPARED_DIR
    python render_pages.py PAGES.tar
    python train_scene.py DATA_DIR/scenes-0.tar PAGES.tar PREPARED_DIR scene.onnx --weights efficientnet-lite0-57934424.pth
        --scans eval/bw_fsa_owi --minutes 2

EfficientNet-Lite0 from ImageNet, fine-tuned on grey pictures for portrait / architecture / other / document. Four
sources: the scene tar (train/), rendered pages, 181 FSA colour transparencies that were labelled by eye
(scene_labels.csv), and colour pictures of objects, garments and food as further examples of `other`. Photographs get
plain frames and numbers written near their edges, as film has, so that a little writing does not make a document. A picture is squeezed to 224 x 224, its aspect
ignored. A tenth of the train/ folders (by SHA-256) and a fifth of the labelled transparencies are held back to
choose the temperature, which is folded into the last layer.
"""
from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import math
import tarfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from efficientnet_lite import EfficientNetLite0, MBConv, SameConv, pretrained
from onnx_graph import Graph
from train_starter import film
from colour import to_linear

CLASSES = ("portrait", "architecture", "other", "document")
FOLDERS = {"portrait": 0, "buildings": 1, "street": 1, "page": 3}  # every other folder is 2
SIDE = 224
# How often each source is drawn.
SHARES = {"scenes": 0.56, "fsa": 0.16, "objects": 0.10, "pages": 0.18}


def scene_of_object(row: dict) -> int | None:
    """Class of a picture of the colour sets, None when it would be a guess."""
    if row["set"] in ("clothing", "grocery", "food", "based_cooking", "dreambooth"):
        return 2
    if row["set"] == "caltech101":
        if row["category"] == "Faces":
            return 0
        if row["category"] in ("minaret", "pagoda"):
            return 1
        if row["category"] not in ("BACKGROUND_Google", "pyramid", "chandelier", "buddha", "lamp"):
            return 2
    return None


def squeeze(grey: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(grey).resize((SIDE, SIDE), Image.BILINEAR), np.uint8)


class Set:
    """Grey pictures in squares of 256 with their extents, on the device."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.pixels, self.extent, self.label = device, [], [], []

    def add(self, grey: np.ndarray, label: int) -> None:
        h, w = grey.shape
        if max(h, w) > 256:
            k = 256 / max(h, w)
            grey = np.asarray(Image.fromarray(grey).resize((round(w * k), round(h * k)), Image.LANCZOS))
            h, w = grey.shape
        page = np.zeros((256, 256), np.uint8)
        page[:h, :w] = grey
        self.pixels.append(page), self.extent.append((h, w)), self.label.append(label)

    def seal(self) -> None:
        self.raw = [p[:h, :w] for p, (h, w) in zip(self.pixels, self.extent)]
        self.pixels = torch.from_numpy(np.stack(self.pixels)).to(self.device)
        self.extent = torch.tensor(self.extent, device=self.device, dtype=torch.float32)
        self.label = torch.tensor(self.label, device=self.device)
        count = torch.bincount(self.label, minlength=4).clamp(min=1).float()
        self.weight = (1 / count)[self.label]  # classes equally often

    def whole(self) -> Tensor:
        x = np.stack([squeeze(g) for g in self.raw])
        return torch.from_numpy(x).to(self.device)[:, None].float() / 255

    def batch(self, n: int) -> tuple[Tensor, Tensor]:
        i = torch.multinomial(self.weight, n, replacement=True)
        h, w = self.extent[i].unbind(1)

        def u(low: float, high: float) -> Tensor:
            return torch.rand(n, device=self.device) * (high - low) + low

        # A third of the pictures whole, as in use; the rest cropped.
        area = torch.where(u(0, 1) < 0.33, 1.0, u(0.45, 1.0))
        ratio = u(-0.25, 0.25).exp()
        ch, cw = (area / ratio).sqrt().clamp(max=1) * h, (area * ratio).sqrt().clamp(max=1) * w
        y0, x0 = u(0, 1) * (h - ch), u(0, 1) * (w - cw)
        t = (torch.arange(SIDE, device=self.device) + 0.5) / SIDE
        tx = torch.where((u(0, 1) < 0.5)[:, None], 1 - t[None], t[None])
        ys = torch.minimum((y0[:, None] + t * ch[:, None]).clamp(min=0.5), h[:, None] - 0.5) / 128 - 1
        xs = torch.minimum((x0[:, None] + tx * cw[:, None]).clamp(min=0.5), w[:, None] - 0.5) / 128 - 1
        # A few degrees of tilt.
        a = (u(-0.1, 0.1) * (u(0, 1) < 0.3))[:, None, None]
        gx, gy = xs[:, None, :].expand(n, SIDE, SIDE), ys[:, :, None].expand(n, SIDE, SIDE)
        cx, cy = xs.mean(1)[:, None, None], ys.mean(1)[:, None, None]
        rx = cx + (gx - cx) * a.cos() - (gy - cy) * a.sin()
        ry = cy + (gx - cx) * a.sin() + (gy - cy) * a.cos()
        edge = torch.stack([w, h], 1)[:, :, None, None] / 128 - 1 - 1 / 256
        grid = torch.stack([torch.minimum(rx, edge[:, 0]), torch.minimum(ry, edge[:, 1])], 3)
        x = F.grid_sample(self.pixels[i][:, None].float() / 255, grid, padding_mode="border", align_corners=False)
        return x, self.label[i]


def borders(x: Tensor) -> Tensor:
    """A quarter of the pictures get a plain frame, as scans of mounts and negatives have."""
    n, dev = x.shape[0], x.device
    t = (torch.arange(SIDE, device=dev) + 0.5) / SIDE
    b = torch.rand(n, 4, device=dev) * 0.1 * (torch.rand(n, 1, device=dev) < 0.25)
    inside = ((t >= b[:, :1]) & (t <= 1 - b[:, 1:2]))[:, :, None] & ((t >= b[:, 2:3]) & (t <= 1 - b[:, 3:]))[:, None]
    tone = torch.rand(n, 1, 1, 1, device=dev).round() * 0.9 + 0.05
    return torch.where(inside[:, None], x, tone)


def scribble(x: Tensor, stamps: Tensor, photograph: Tensor) -> Tensor:
    """Three in ten photographs get a number or a few words near an edge, light or dark."""
    n, dev = x.shape[0], x.device
    use = photograph & (torch.rand(n, device=dev) < 0.3)
    mask = stamps[torch.randint(len(stamps), (n,), device=dev)][:, None].float() / 255
    mask = torch.where((torch.rand(n, device=dev) < 0.5)[:, None, None, None], mask, mask.transpose(2, 3).flip(3))
    tone = torch.rand(n, 1, 1, 1, device=dev).round() * 0.9 + 0.05
    return torch.where(use[:, None, None, None], x + (tone - x) * mask, x)


def fold(c: SameConv, bn: nn.BatchNorm2d) -> tuple[np.ndarray, np.ndarray]:
    k = bn.weight.double() / (bn.running_var.double() + bn.eps).sqrt()
    w, b = c.weight.double() * k[:, None, None, None], bn.bias.double() - bn.running_mean.double() * k
    return w.float().detach().cpu().numpy(), b.float().detach().cpu().numpy()


def export(net: EfficientNetLite0, path: str, temperature: float) -> None:
    g = Graph("scene")
    grey = g.input("grey", [1, 1, SIDE, SIDE])
    x = g.op("Sub", g.op("Mul", grey, g.constant(np.float32(255 / 128))), g.constant(np.float32(127 / 128)))
    zero, six = g.constant(np.float32(0)), g.constant(np.float32(6))
    size = SIDE

    def conv(x: str, c: SameConv, bn: nn.BatchNorm2d, act: bool) -> str:
        nonlocal size
        w, b = fold(c, bn)
        if c.in_channels == 3:
            w = w.sum(1, keepdims=True)  # three equal channels
        left, right, top, bottom = c.same_pads(size, size)
        k, s = c.kernel_size[0], c.stride[0]
        size = -(-size // s)
        y = g.op("Conv", x, g.weight(w), g.weight(b), kernel_shape=[k, k], strides=[s, s], group=c.groups,
                 pads=[top, left, bottom, right])  # fmt: skip
        return g.op("Clip", y, zero, six) if act else y

    x = conv(x, net._conv_stem, net._bn0, True)
    for block in net._blocks:
        block: MBConv
        y = conv(x, block._expand_conv, block._bn0, True) if block.expand else x
        y = conv(y, block._depthwise_conv, block._bn1, True)
        y = conv(y, block._project_conv, block._bn2, False)
        x = g.op("Add", x, y) if block.skip else y
    x = g.op("Flatten", g.op("GlobalAveragePool", conv(x, net._conv_head, net._bn1, True)), axis=1)
    w, b = (t.detach().float().cpu().numpy() / temperature for t in (net._fc.weight, net._fc.bias))
    g.op("Softmax", g.op("Gemm", x, g.weight(w), g.weight(b), transB=1), axis=1, out="scores")
    g.output("scores", [1, len(CLASSES)])
    g.save(path, {"id": "scene", "licence": "Apache-2.0", "source": "trained by models/training/train_scene.py",
                  "classes": ",".join(CLASSES), "temperature": f"{temperature:.4f}"})  # fmt: skip


def scans(folder: Path) -> list[tuple[str, np.ndarray, set[int]]]:
    out = []
    with open(folder / "scenes.csv", newline="") as f:
        for row in csv.DictReader(f):
            right = {CLASSES.index(row["scene"])} | ({CLASSES.index(row["also"])} if row["also"] else set())
            grey = np.asarray(Image.open(folder / row["file"]).convert("L"))
            out.append((row["file"], squeeze(grey), right | {100 + CLASSES.index(row["scene"])}))
    return out


def calibration_error(p: np.ndarray, label: np.ndarray, bins: int = 10) -> float:
    top, right = p.max(1), p.argmax(1) == label
    which = np.minimum((top * bins).astype(int), bins - 1)
    return float(sum(abs(top[which == b].mean() - right[which == b].mean()) * (which == b).mean() for b in set(which)))


def main() -> None:
    ap = argparse.ArgumentParser(description="train the scene router")
    ap.add_argument("tar", type=Path)
    ap.add_argument("pages", type=Path)
    ap.add_argument("prepared", type=Path)
    ap.add_argument("file", type=Path)
    ap.add_argument("--weights", type=Path, required=True)
    ap.add_argument("--scans", type=Path)
    ap.add_argument("--minutes", type=float, default=2.0)
    ap.add_argument("--seed", type=int, default=20261124)
    ap.add_argument("--batch", type=int, default=128)
    ap.add_argument("--device", default="cuda")
    ap.add_argument("--limit", type=int, default=10**9, help="pictures of each source, to try the script out")
    args = ap.parse_args()
    torch.manual_seed(args.seed)
    dev = torch.device(args.device)
    began = time.time()
    sets = {k: Set(dev) for k in ("scenes", "fsa", "objects", "pages", "held", "held_fsa", "held_pages", "test", "test_pages")}
    stamps = []
    for tar, main, suffix in ((args.tar, "scenes", ""), (args.pages, "pages", "_pages")):
        with tarfile.open(tar) as t:
            members = [m for m in t if m.isfile() and m.name.endswith(".jpg")]
            for m in members[:: max(1, len(members) // args.limit)]:
                data = t.extractfile(m).read()
                split, folder, _ = m.name.split("/")
                grey = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
                if folder == "stamp":
                    stamps.append(squeeze(grey))
                    continue
                held = int.from_bytes(hashlib.sha256(data).digest()[:4], "big") % 10 == 0
                sets[("test" if split == "test" else "held") + suffix if held or split == "test" else main].add(grey, FOLDERS.get(folder, 2))
    stamps = torch.from_numpy(np.stack(stamps)).to(dev)
    rows = [r for r in json.loads((args.prepared / "pictures.json").read_text()) if not r["tile"]]
    pixels = np.load(args.prepared / "pictures.npy", mmap_mode="r")

    def grey_of(r: dict) -> np.ndarray:
        return np.asarray(Image.fromarray(pixels[r["slot"], : r["h"], : r["w"]]).convert("L"))

    by_member = {r["member"]: r for r in rows}
    with open(Path(__file__).parent / "scene_labels.csv", newline="") as f:
        for i, row in enumerate(csv.DictReader(f)):
            if row["member"] in by_member:
                name = "held_fsa" if i % 5 == 0 else "fsa"
                sets[name].add(grey_of(by_member[row["member"]]), CLASSES.index(row["scene"]))
    for r in rows[: args.limit * 4]:
        label = None if r["held"] else scene_of_object(r)
        if label is not None:
            sets["objects"].add(grey_of(r), label)
    for s in sets.values():
        s.seal()
    print({k: len(s.raw) for k, s in sets.items()}, f"{time.time() - began:.0f} s", flush=True)

    net = pretrained(args.weights, classes=len(CLASSES), dropout=0.2).to(dev).to(memory_format=torch.channels_last).train()
    head = list(net._fc.parameters())
    body = [p for n, p in net.named_parameters() if not n.startswith("_fc")]
    opt = torch.optim.AdamW([{"params": body, "top": 4e-4}, {"params": head, "top": 2e-3}], lr=1e-3, weight_decay=0.02)
    live = list(net.state_dict(keep_vars=True).values())
    kept = [t.detach().clone() for t in live]

    shares = {k: round(args.batch * v) for k, v in SHARES.items()}

    def objective(x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast(dev.type, torch.bfloat16, enabled=dev.type == "cuda"):
            logits = net(x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last))
        return F.cross_entropy(logits.float(), y, label_smoothing=0.05)

    began, step, told = time.time(), 0, 0.0
    while (p := (time.time() - began) / (args.minutes * 60)) < 1:
        for g in opt.param_groups:
            g["lr"] = g["top"] * min(1.0, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * p)) + 1e-7
        parts = [sets[k].batch(n) for k, n in shares.items()]
        x, y = torch.cat([a for a, _ in parts]), torch.cat([b for _, b in parts])
        with torch.no_grad():
            x = borders(scribble(film(to_linear(x).expand(-1, 3, -1, -1)), stamps, y != 3))
        loss = objective(x, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        decay = min(0.998, (step + 1) / (step + 10))
        with torch.no_grad():
            for a, b in zip(kept, live):
                if a.is_floating_point():
                    a.lerp_(b.detach(), 1 - decay)
        step += 1
        if time.time() - began - told > 10:
            told = time.time() - began
            print(f"scene {told:4.0f} s step {step} loss {float(loss):.3f}", flush=True)
    with torch.no_grad():
        for a, b in zip(kept, live):
            b.copy_(a)
    net.eval()

    @torch.no_grad()
    def logits(x: Tensor) -> Tensor:
        return torch.cat([net(part.expand(-1, 3, -1, -1)).float() for part in x.split(64)])

    held = [(logits(sets[k].whole()), sets[k].label) for k in ("held", "held_fsa", "held_pages")]
    for name, (z, y) in zip(("held", "held_fsa", "held_pages"), held):
        print(f"scene: {name} {float((z.argmax(1) == y).float().mean()):.4f} of {len(y)}", flush=True)
    # Tidy pictures and real scans weigh the same; rendered pages are too easy to say anything about doubt.
    options = np.exp(np.linspace(math.log(0.3), math.log(3), 93))
    nll = [sum(float(F.cross_entropy(z / t, y)) for z, y in held[:2]) for t in options]
    temperature = float(options[int(np.argmin(nll))])
    z, y = logits(sets["test"].whole()), sets["test"].label
    prob, label = (z / temperature).softmax(1).cpu().numpy(), y.cpu().numpy()
    print(f"scene: {step} steps, temperature {temperature:.3f}, test {np.mean(prob.argmax(1) == label):.4f} of {len(label)}, "
          f"calibration error {calibration_error(prob, label):.4f}")  # fmt: skip
    print("scene: test confusion (rows: truth)", [[int(((label == a) & (prob.argmax(1) == b)).sum()) for b in range(4)] for a in range(3)])
    pages = (logits(sets["test_pages"].whole()) / temperature).softmax(1)[:, 3].cpu().numpy()
    found = ", ".join(f"{np.mean(pages > t):.3f} above {t}" for t in (0.4, 0.6, 0.8))
    print(f"scene: pages of the test folder taken for documents: {found}, of {len(pages)}; photographs of the test split "
          f"above 0.6: {int((prob[:, 3] > 0.6).sum())}, above 0.4: {int((prob[:, 3] > 0.4).sum())}")  # fmt: skip
    args.file.parent.mkdir(parents=True, exist_ok=True)
    export(net, str(args.file), temperature)
    if args.scans:
        some = scans(args.scans)
        x = torch.from_numpy(np.stack([g for _, g, _ in some])).to(dev)[:, None].float() / 255
        prob = (logits(x) / temperature).softmax(1).cpu().numpy()
        first = sum(100 + int(p.argmax()) in right for p, (_, _, right) in zip(prob, some))
        either = sum(int(p.argmax()) in right for p, (_, _, right) in zip(prob, some))
        print(f"scene: scans, first answer {first}, first or also {either}, of {len(some)}")
        crossed = sum({int(p.argmax())} | {min(right)} == {0, 1} and int(p.argmax()) not in right for p, (_, _, right) in zip(prob, some))
        print(f"scene: scans, portrait for architecture or the reverse {crossed}, largest document score {prob[:, 3].max():.2f}")
        for p, (name, _, right) in zip(prob, some):
            if int(p.argmax()) not in right:
                print(f"  {name} {p.round(2).tolist()} wants {[CLASSES[i] for i in right if i < 3]}")
    data = args.file.read_bytes()
    print(f"{args.file.name}: {len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()}", flush=True)


if __name__ == "__main__":
    main()
