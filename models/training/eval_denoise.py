"""Measure a denoiser: white noise, film-like grain, and pictures that are already clean.

    python eval_denoise.py denoise.onnx SET12_DIR

Mean PSNR in dB over the pictures of the folder. Noise is NumPy's default generator, seeded by picture number and level;
film-like grain is that noise blurred by a Gaussian of radius r pixels (SciPy's `gaussian_filter`) and brought back to
its level. The level is told to the network, as the program does with its own estimate.
"""
from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from scipy.ndimage import gaussian_filter

from train_denoise import psnr


def grain(seed: list[int], shape: tuple[int, int], radius: float) -> np.ndarray:
    z = np.random.default_rng(seed).standard_normal(shape, np.float32)
    if radius > 0:
        z = gaussian_filter(z, radius)
        z /= z.std()
    return z


def main() -> None:
    ap = argparse.ArgumentParser(description="measure a denoiser")
    ap.add_argument("file")
    ap.add_argument("set12", type=Path)
    args = ap.parse_args()
    session = onnxruntime.InferenceSession(args.file, providers=["CPUExecutionProvider"])
    pictures = [np.asarray(Image.open(f).convert("L"), np.float32) / 255 for f in sorted(args.set12.glob("*.png"))]

    def run(noisy: np.ndarray, sigma: float) -> np.ndarray:
        return session.run(None, {"grey": noisy[None, None], "sigma": np.array([sigma / 255], np.float32)})[0][0, 0]

    def scores(sigma: float, radius: float) -> tuple[np.ndarray, np.ndarray]:
        before, after = [], []
        for i, clean in enumerate(pictures):
            noisy = clean + grain([i, round(sigma)], clean.shape, radius) * np.float32(sigma / 255)
            before.append(psnr(noisy, clean))
            after.append(psnr(np.clip(run(noisy, sigma), 0, 1), clean))
        return np.array(before), np.array(after)

    print("sigma   noisy " + "".join(f"{'white' if r == 0 else f'r = {r}':>10}" for r in (0, 0.5, 0.7, 1.0)))
    for sigma in (15, 25, 50):
        columns = [scores(sigma, r) for r in (0, 0.5, 0.7, 1.0)]
        print(f"{sigma:5} {columns[0][0].mean():7.2f} " + "".join(f"{after.mean():10.2f}" for _, after in columns))
    print("clean pictures: gain over the input, mean and worst")
    for sigma in (0.5, 1, 2):
        before, after = scores(sigma, 0)
        print(f"{sigma:5} {np.mean(after - before):+7.2f} {np.min(after - before):+7.2f}")


if __name__ == "__main__":
    main()
