"""Decode the colour pictures once, leave out the faulty ones, and write arrays that training reads.

    python prepare.py DATA_DIR PREPARED_DIR

DATA_DIR holds colour-*.tar (JPEG members named set/.../file.jpg). Written to PREPARED_DIR:

* pictures.npy   uint8 [n, 256, 256, 3], every picture at most 256 on its long side, top left, rest black
* large.npy      uint8 [m, 640, 640, 3], the few pictures that have more detail than that
* pictures.json  per picture: set, category, member, height, width, held back or not
* ready          written last

Held back: pictures whose first 4 bytes of SHA-256 (of the JPEG file), as a big-endian number, are divisible
by 20. They never enter training, of the colorizer or of the denoiser.
"""
import hashlib
import io
import json
import multiprocessing as mp
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, LARGE = 256, 640
TILES = 4
# Residual of a and b after a cubic fit on L, rms in Lab units. Below it a picture is a toned monochrome (sepia,
# green), which would teach "old portrait, therefore sepia". 41 % of the congress portraits are.
TONED = {"congress": 4.0, "us_house": 4.0}
TONED_OTHER = 1.8


def srgb_linear(x: np.ndarray) -> np.ndarray:
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    lin = srgb_linear(rgb)
    m = np.array([[0.43395, 0.37622, 0.18983], [0.21267, 0.71515, 0.07217], [0.01776, 0.10947, 0.87277]])
    t = lin @ m.T
    f = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def toned_residual(im: Image.Image) -> float:
    v = lab(np.asarray(im.resize((48, 48), Image.BOX), np.float64).reshape(-1, 3) / 255)
    x = v[:, 0] / 100
    basis = np.stack([np.ones_like(x), x, x * x, x**3], 1)
    fit, *_ = np.linalg.lstsq(basis, v[:, 1:], rcond=None)
    return float(np.sqrt(np.mean(np.sum((v[:, 1:] - basis @ fit) ** 2, 1))))


def restore_fsa(im: Image.Image) -> Image.Image:
    """FSA transparencies: cut the rebate, bring the 99th percentile to 0.85 in linear light, at most threefold."""
    w, h = im.size
    im = im.crop((round(w * 0.05), round(h * 0.05), round(w * 0.95), round(h * 0.95)))
    lin = srgb_linear(np.asarray(im, np.float64) / 255)
    lin = np.clip(lin * min(0.85 / max(np.percentile(lin, 99), 1e-3), 3.0), 0, 1)
    out = np.where(lin <= 0.0031308, lin * 12.92, 1.055 * lin ** (1 / 2.4) - 0.055)
    return Image.fromarray(np.uint8(out * 255 + 0.5))


def fit(im: Image.Image, side: int) -> np.ndarray:
    w, h = im.size
    k = min(1.0, side / max(w, h))
    if k < 1:
        im = im.resize((max(1, round(w * k)), max(1, round(h * k))), Image.LANCZOS)
    return np.asarray(im)


def work(job: tuple[int, str, bytes]) -> list[dict]:
    """Decode one picture into the shared arrays; returns what was written (nothing when it is faulty)."""
    slot, member, data = job
    name = member.split("/")
    try:
        im = Image.open(io.BytesIO(data)).convert("RGB")
        if name[0] == "fsa_colour":
            im = restore_fsa(im)
    except OSError:
        return []
    if min(im.size) < 48 or toned_residual(im) < TONED.get(name[0], TONED_OTHER):
        return []
    digest = hashlib.sha256(data).digest()
    base = {
        "set": name[0],
        "category": name[1] if len(name) > 2 else "",
        "member": member,
        "held": int.from_bytes(digest[:4], "big") % 20 == 0,
    }
    a = fit(im, SIDE)
    small[slot, : a.shape[0], : a.shape[1]] = a
    out = [dict(base, slot=slot, h=a.shape[0], w=a.shape[1], tile=False)]
    if name[0] in ("documerica", "unsplash"):
        big = fit(im, LARGE)
        k = big_slot[member]
        large[k, : big.shape[0], : big.shape[1]] = big
        out[0]["large"] = [k, *big.shape[:2]]
        full = np.asarray(im)
        rng = np.random.default_rng(int.from_bytes(digest[4:8], "big"))
        for t in range(TILES):
            y, x = rng.integers(0, full.shape[0] - SIDE + 1), rng.integers(0, full.shape[1] - SIDE + 1)
            small[tile_slot[member] + t] = full[y : y + SIDE, x : x + SIDE]
            out.append(dict(base, slot=tile_slot[member] + t, h=SIDE, w=SIDE, tile=True))
    return out


def shared(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """A .npy file mapped into memory that forked workers write straight into."""
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)


def main() -> None:
    global small, large, big_slot, tile_slot
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    began = time.time()
    jobs = []
    for tar in sorted(data.glob("colour-*.tar")):
        with tarfile.open(tar) as t:
            for m in t:
                # Faces_easy is Faces once more, cropped.
                if m.isfile() and m.name.endswith(".jpg") and "/Faces_easy/" not in m.name:
                    jobs.append((len(jobs), m.name, t.extractfile(m).read()))
    big = [m for _, m, _ in jobs if m.split("/")[0] in ("documerica", "unsplash")]
    big_slot = {m: i for i, m in enumerate(big)}
    tile_slot = {m: len(jobs) + TILES * i for i, m in enumerate(big)}
    small = shared(out / "pictures.npy", (len(jobs) + TILES * len(big), SIDE, SIDE, 3))
    large = shared(out / "large.npy", (max(len(big), 1), LARGE, LARGE, 3))
    with mp.get_context("fork").Pool() as pool:
        rows = [r for some in pool.imap_unordered(work, jobs, chunksize=32) for r in some]
    rows.sort(key=lambda r: r["slot"])
    (out / "pictures.json").write_text(json.dumps(rows))
    (out / "ready").write_text("")
    counts: dict[str, list[int]] = {}
    for r in rows:
        if not r["tile"]:
            counts.setdefault(r["set"], [0, 0])[r["held"]] += 1
    print(f"{len(jobs)} pictures, kept (training, held back): {counts}, {time.time() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
