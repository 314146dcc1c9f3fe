"""Train ddcolor-starter.

    python prepare.py DATA_DIR PREPARED_DIR
    python train_starter.py PREPARED_DIR OUT_DIR --teacher efficientnet-lite0-57934424.pth --minutes 20

Batches come in three picture sizes with about the same number of pixels, because the product works at 460 to
1280 pixels: a network that has only seen 192 loses a quarter of its gain at 512. Pictures with green vegetation and
interiors are drawn more often, because both are scarce and both turn brown otherwise. The grey input is aged like
film (spectral mix, gamma, contrast, blur, grain); the target stays the clean colour. An ImageNet classifier that
looks at the *colour* crop, always at 192 pixels, lends the encoder its features: the student has to find the same
meaning in grey, and at every size.

OUT_DIR receives starter-0.safetensors and starter-1.safetensors (FP16, averaged weights, output still to be
multiplied by 20; `export_starter.py` joins and folds them), renewed every minute, and log.txt. With --state FILE
the whole state of training is written there after --stop-after seconds, and the same command goes on from it: the
schedule counts seconds of training, wherever they were spent.
"""
from __future__ import annotations

import argparse
import math
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from colour import linear_to_lab, luminance, to_gamma, to_linear
from ddcolor import STARTER, BlendedBatchNorm2d, DDColor, init_weights
from efficientnet_lite import pretrained
from pictures import LARGE_SHARE, Pictures

SCALE = 20.0  # the network's output times this is Lab units
SIZES = {192: (128, 0.50), 384: (32, 0.28), 768: (8, 0.22)}  # size: (batch, share of the steps)


def soften(x: Tensor, k: Tensor) -> Tensor:
    """A 3-tap blur along both axes, strength k (0 to 0.25) for each picture."""
    p = F.pad(x, (1, 1, 0, 0), mode="replicate")
    x = x * (1 - 2 * k) + (p[..., :-2] + p[..., 2:]) * k
    p = F.pad(x, (0, 0, 1, 1), mode="replicate")
    return x * (1 - 2 * k) + (p[..., :-2, :] + p[..., 2:, :]) * k


def film(lin: Tensor) -> Tensor:
    """Grey as an old camera might have recorded it, from linear RGB: N x 1 x H x W, gamma-encoded."""
    n, dev = lin.shape[0], lin.device

    def u(low: float, high: float) -> Tensor:
        return torch.rand(n, 1, 1, 1, device=dev) * (high - low) + low

    def chance(p: float) -> Tensor:
        return torch.rand(n, 1, 1, 1, device=dev) < p

    # Orthochromatic and panchromatic film weigh the colours their own way.
    w = torch.randn(n, 3, 1, 1, device=dev).exp()
    mixed = (lin * (w / w.sum(1, keepdim=True))).sum(1, keepdim=True)
    g = to_gamma(torch.where(chance(0.25), mixed, luminance(lin)[:, None]).clamp(0, 1)).clamp(1e-4, 1)
    g = torch.where(chance(0.5), g ** torch.exp(u(-0.35, 0.35)), g)
    mean = g.mean((2, 3), keepdim=True)
    g = torch.where(chance(0.5), mean + (g - mean) * u(0.65, 1.3), g)
    k = torch.where(chance(0.25), u(0.0, 0.25), torch.zeros_like(mean))
    g = soften(soften(g, k), k)
    g = g + torch.randn_like(g) * torch.where(chance(0.3), u(0.0, 0.06), torch.zeros_like(mean))
    return g.clamp(0, 1)


class Trainee(nn.Module):
    """The network, the heads that distillation needs, and the loss."""

    def __init__(self, net: DDColor, rebalance: Tensor) -> None:
        super().__init__()
        self.net = net
        self.rebalance = rebalance
        dims = net.cfg.dims
        self.heads = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(dims[1:], (40, 112, 320)))
        self.classes = nn.Linear(dims[3], 1000)

    def forward(self, rgb: Tensor, teacher: nn.Module, w_feature: Tensor, w_class: Tensor) -> tuple[Tensor, Tensor]:
        size = rgb.shape[-1]
        with torch.no_grad():
            lin = to_linear(rgb)
            target = linear_to_lab(lin)[:, 1:] / SCALE
            grey = film(lin).expand(-1, 3, -1, -1)
            # The teacher always sees 192 pixels: it knows objects at that size, and the student learns that an
            # enlarged object is the same object.
            small = F.avg_pool2d(rgb, size // 192) if size > 192 else rgb
            *features, pooled = teacher.features(small.contiguous(memory_format=torch.channels_last))
            logits = teacher._fc(pooled)
        ab, skips, _ = self.net.run(grey.contiguous(memory_format=torch.channels_last))
        error = F.huber_loss(ab.float(), target, delta=2.0, reduction="none").mean(1)
        chroma = target.norm(dim=1) * SCALE
        # Grey pixels are many, coloured ones few: counted alike, everything doubtful becomes brown.
        weight = 1 + self.rebalance * chroma / (chroma + 15)
        loss = (error * weight).sum() / weight.sum()
        colour = error.mean()
        for head, skip, feature in zip(self.heads, skips[1:], features):
            guess = head(skip)
            if size > 192:
                guess = F.avg_pool2d(guess, size // 192)
            feature = feature.float()
            var, mean = torch.var_mean(feature, dim=(0, 2, 3), keepdim=True)
            loss = loss + w_feature / 3 * F.smooth_l1_loss(guess.float(), (feature - mean) * torch.rsqrt(var + 1e-4))
        own = self.classes(skips[3].mean((2, 3))).float()
        kl = F.kl_div(own.log_softmax(1), logits.float().softmax(1), reduction="batchmean")
        return loss + w_class * kl, colour.detach()


class Average:
    """Exponential moving average of parameters and of BatchNorm statistics."""

    def __init__(self, net: nn.Module) -> None:
        self.live = [t for t in net.state_dict(keep_vars=True).values()]
        self.kept = [t.detach().clone() for t in self.live]
        self.names = list(net.state_dict())

    @torch.no_grad()
    def update(self, decay: float) -> None:
        torch._foreach_lerp_(self.kept, [t.detach() for t in self.live], 1 - decay)

    def finite(self) -> bool:
        return bool(torch.stack([torch.isfinite(t).all() for t in self.live]).all())

    @torch.no_grad()
    def restore(self) -> None:
        for live, kept in zip(self.live, self.kept):
            live.copy_(kept)

    def state(self) -> dict[str, Tensor]:
        return dict(zip(self.names, self.kept))


def save_parts(state: dict[str, Tensor], out: Path) -> None:
    """FP16 (variances stay FP32) in two files of about the same size; replaced only when complete."""
    parts: list[dict[str, Tensor]] = [{}, {}]
    filled = [0, 0]
    for key, value in sorted(state.items(), key=lambda item: -item[1].numel()):
        dtype = torch.float32 if key.endswith("running_var") else torch.float16
        i = filled.index(min(filled))
        parts[i][key] = value.detach().to("cpu", dtype).contiguous()
        filled[i] += value.numel()
    for i, part in enumerate(parts):
        temporary = out / f"starter-{i}.tmp"
        save_file(part, temporary)
        os.replace(temporary, out / f"starter-{i}.safetensors")


def main() -> None:
    ap = argparse.ArgumentParser(description="train ddcolor-starter")
    ap.add_argument("prepared", type=Path)
    ap.add_argument("out", type=Path)
    ap.add_argument("--teacher", type=Path, required=True, help="efficientnet-lite0 weights (ImageNet)")
    ap.add_argument("--minutes", type=float, default=20.0, help="length of the schedule, compilation not counted")
    ap.add_argument("--rebalance", type=float, default=0.0, help="coloured pixels weigh up to 1 + this against grey ones")
    ap.add_argument("--drop-path", type=float, default=0.1, help="share of residual branches left out, in the last block")
    ap.add_argument("--weight-decay", type=float, default=0.05)
    ap.add_argument("--area", type=float, default=0.35, help="smallest share of a picture that a crop shows")
    ap.add_argument("--cutmix", type=float, default=0.25, help="share of pictures that receive a rectangle of another")
    ap.add_argument("--watch", type=float, default=120, help="seconds between two looks at held-back pictures")
    ap.add_argument("--state", type=Path, help="go on from here if it is there; written when the schedule is not done")
    ap.add_argument("--stop-after", type=float, default=math.inf, help="seconds of this process, then write --state and stop")
    ap.add_argument("--seed", type=int, default=20261124)
    ap.add_argument("--lr", type=float, default=8e-4)
    ap.add_argument("--device", default="cuda")
    ap.add_argument("--backend", default="inductor", help="of torch.compile; 'none' to run eagerly")
    ap.add_argument("--small", action="store_true", help="tiny batches, to try the script out")
    ap.add_argument("--warm", type=int, help="only compile for this size, into the compiler's cache, and stop")
    args = ap.parse_args()

    launched = time.time()
    torch.manual_seed(args.seed)
    device = torch.device(args.device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    args.out.mkdir(parents=True, exist_ok=True)
    log = open(args.out / ("log.txt" if args.warm is None else f"warm-{args.warm}.txt"), "a")

    def say(text: str) -> None:
        print(text, flush=True)
        print(text, file=log, flush=True)

    sizes = {s: (2 if args.small else n, p) for s, (n, p) in SIZES.items()}
    if args.small:
        LARGE_SHARE.update({384: 1, 768: 1})

    net = DDColor(STARTER, drop_path=args.drop_path, layer_scale=0.1)
    init_weights(net)
    trainee = Trainee(net, torch.tensor(args.rebalance, device=device)).to(device).to(memory_format=torch.channels_last).train()
    teacher = pretrained(args.teacher).to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
    norms = [m for m in net.modules() if isinstance(m, BlendedBatchNorm2d)]
    blend = torch.zeros((), device=device)
    for m in norms:
        m.blend = blend  # one tensor for all
    decay, plain = [], []
    for p in trainee.parameters():
        (decay if p.dim() > 1 else plain).append(p)
    params = decay + plain
    groups = [{"params": decay, "weight_decay": args.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    fused = device.type == "cuda"
    opt = torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.99), fused=fused)
    w_feature, w_class = torch.tensor(0.5, device=device), torch.tensor(0.05, device=device)

    def objective(rgb: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(device.type, torch.bfloat16):
            return trainee(rgb, teacher, w_feature, w_class)

    def compiled(size: int):
        if args.backend == "none":
            return objective

        def step(rgb: Tensor) -> tuple[Tensor, Tensor]:  # a function of its own for each size
            return objective(rgb)

        return torch.compile(step, fullgraph=True, dynamic=False, backend=args.backend)

    step_of = {s: compiled(s) for s in sizes}

    def warm(size: int) -> None:
        began = time.time()
        dummy = torch.rand(sizes[size][0], 3, size, size, device=device)
        step_of[size](dummy)[0].backward()
        trainee.zero_grad(set_to_none=True)
        for m in norms:
            nn.init.zeros_(m.running_mean), nn.init.ones_(m.running_var)
        if device.type == "cuda":
            torch.cuda.synchronize()
        say(f"compiled for {size} in {time.time() - began:.0f} s")

    if args.warm is not None:
        warm(args.warm)
        return
    say(f"{sum(p.numel() for p in net.parameters()):,} parameters")
    for size in sizes:
        warm(size)
    pictures = Pictures(args.prepared, device, args.seed, teacher, args.area, args.cutmix)
    say("{} pictures, {} of high resolution; full of vegetation {:.0f}, interiors {:.0f}".format(
        len(pictures.rows), len(pictures.large), *pictures.shown))  # fmt: skip

    average = Average(net)
    watched = pictures.held_back(args.prepared, 4 if args.small else 400, 256)
    judge = DDColor(STARTER).to(device).to(memory_format=torch.channels_last).eval()

    @torch.no_grad()
    def look() -> str:
        judge.load_state_dict(average.state())
        error = truth = 0.0
        for rgb in watched.split(50):
            lin = to_linear(rgb)
            grey = to_gamma(luminance(lin)[:, None]).expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16):
                guess = judge(grey).float() * (0.9 * SCALE)
            ab = linear_to_lab(lin)[:, 1:]
            error, truth = error + float((guess - ab).pow(2).sum()), truth + float(ab.pow(2).sum())
        return f"held back at 256: {error / truth:.4f} x grey"

    chooser = np.random.default_rng(args.seed)
    names = sorted(sizes)
    share = np.array([sizes[s][1] for s in names])
    seen = skipped = step = 0
    earlier = 0.0
    if args.state and args.state.exists():
        state = torch.load(args.state, map_location=device)
        trainee.load_state_dict(state["trainee"])
        opt.load_state_dict(state["optimiser"])
        for kept, value in zip(average.kept, state["average"]):
            kept.copy_(value)
        earlier, step, seen, skipped = state["clock"]
        # Another stretch draws other pictures.
        torch.manual_seed(args.seed + step)
        pictures.rng.manual_seed(args.seed + step)
        chooser = np.random.default_rng(args.seed + step)
        say(f"going on at {earlier:.0f} s, step {step}")
    began = time.time() - earlier
    saved = told = watched_at = earlier
    colour_sum, colour_n = torch.zeros((), device=device), 0
    norm_max = torch.zeros((), device=device)
    while True:
        elapsed = time.time() - began
        p = elapsed / (args.minutes * 60)
        if p >= 1:
            break
        if time.time() - launched > args.stop_after:
            if not average.finite():
                average.restore()
            state = {"trainee": trainee.state_dict(), "optimiser": opt.state_dict(), "average": average.kept,
                     "clock": (elapsed, step, seen, skipped)}  # fmt: skip
            torch.save(state, args.state.with_suffix(".tmp"))
            os.replace(args.state.with_suffix(".tmp"), args.state)
            save_parts(average.state(), args.out)
            say(f"stopped at {elapsed:.0f} s, step {step}, to go on from {args.state.name}")
            return
        # Cosine by the clock, linear warm-up by steps.
        lr = args.lr * min(1.0, (step + 1) / 300) * (0.5 + 0.5 * math.cos(math.pi * p)) + 1e-6
        for g in opt.param_groups:
            g["lr"] = lr
        fade = 0.5 + 0.5 * math.cos(math.pi * p)
        w_feature.fill_(0.1 + 0.4 * fade)
        w_class.fill_(0.01 + 0.04 * fade)
        blend.fill_(min(max((p - 0.5) / 0.25, 0.0), 1.0))
        size = int(chooser.choice(names, p=share))
        loss, colour = step_of[size](pictures.batch(size, sizes[size][0]))
        loss.backward()
        norm = torch.nn.utils.get_total_norm([q.grad for q in params if q.grad is not None])
        if fused:
            # The fused optimiser divides by grad_scale and skips a step when found_inf is set: clipping to norm 1
            # and the guard against NaN cost no pass of their own and no wait for the device.
            opt.grad_scale, opt.found_inf = norm.clamp(min=1.0), (~torch.isfinite(norm)).float()
        else:
            torch.nn.utils.clip_grads_with_norm_([q for q in params if q.grad is not None], 1.0, norm)
        opt.step()
        opt.zero_grad(set_to_none=True)
        step += 1
        seen += sizes[size][0]
        colour_sum += torch.nan_to_num(colour)
        norm_max = torch.maximum(norm_max, norm)
        colour_n += 1
        if step % 100 == 0:
            if not average.finite() or not math.isfinite(float(colour_sum)):
                skipped += 1
                average.restore()
                opt.state.clear()
                say(f"step {step}: not finite, back to the averaged weights")
                if skipped > 20:
                    sys.exit("cannot be kept finite")
        average.update(min(0.999, (step + 1) / (step + 10)))
        if elapsed - told > 10:
            say(f"{elapsed:5.0f} s step {step} pictures {seen} huber {float(colour_sum) / colour_n:.4f} "
                f"largest norm {float(norm_max):.2f} lr {lr:.2e} blend {float(blend):.2f}")  # fmt: skip
            colour_sum.zero_()
            norm_max.zero_()
            colour_n, told = 0, elapsed
        if elapsed - watched_at > args.watch:
            say(f"{elapsed:5.0f} s {look()}")
            watched_at = elapsed
        if elapsed - saved > 60:
            if average.finite():
                save_parts(average.state(), args.out)
            saved = elapsed
    save_parts(average.state(), args.out)
    say(look())
    say(f"done: {step} steps, {seen} pictures, {time.time() - began:.0f} s, restarts {skipped}")
    (args.out / "done").write_text("")


if __name__ == "__main__":
    main()
