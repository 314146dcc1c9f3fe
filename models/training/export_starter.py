"""Join the two parts that training wrote into the shipped file, and write the test fixture.

    python export_starter.py OUT_DIR models/ddcolor-starter.safetensors [--gain 1.0]
        [--fixture tests/fixtures/starter_160x224_ab.npy --recipe GOLDEN_DIR/recipe.py]

Keys are those of an official checkpoint with spectral norms folded. The output factor 20, and the gain chosen on
held-back pictures, are multiplied into refine_net, so the file's output is a*, b* in Lab units.
"""
import argparse
import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from ddcolor import STARTER, DDColor
from train_starter import SCALE


def main() -> None:
    ap = argparse.ArgumentParser()
    ap.add_argument("parts", type=Path)
    ap.add_argument("file", type=Path)
    ap.add_argument("--gain", type=float, default=1.0)
    ap.add_argument("--fixture", type=Path)
    ap.add_argument("--recipe", type=Path, help="recipe.py of the golden tensors: its image() is the fixture's input")
    args = ap.parse_args()
    state = load_file(args.parts / "starter-0.safetensors") | load_file(args.parts / "starter-1.safetensors")
    for key in ("refine_net.0.0.weight", "refine_net.0.0.bias"):
        state[key] = (state[key].float() * SCALE * args.gain).half()
    for key, value in state.items():
        # A number that FP16 would flush to zero or lose most of its digits stays in FP32 (variances only).
        if not torch.isfinite(value).all():
            raise SystemExit(f"{key}: not finite")
    metadata = {
        "id": "ddcolor-starter",
        "licence": "Apache-2.0",
        "architecture": "ddcolor",
        "source": "trained by models/training/train_starter.py",
        "note": "DDColor's architecture, narrower, trained from scratch on a small set; not the authors' weights. "
        "Spectral norms folded; 8 attention heads; grey RGB in [0, 1] to a*, b* in Lab units.",
    }
    args.file.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in state.items()}, args.file, metadata)
    data = args.file.read_bytes()
    print(f"{args.file}: {len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()}, {len(state)} tensors")
    if args.fixture:
        spec = importlib.util.spec_from_file_location("recipe", args.recipe)
        recipe = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(recipe)
        net = DDColor(STARTER).eval()
        net.load_state_dict({k: v.float() for k, v in load_file(args.file).items()}, strict=True)
        with torch.no_grad():
            ab = net(torch.from_numpy(recipe.image(160, 224))).numpy()
        args.fixture.parent.mkdir(parents=True, exist_ok=True)
        np.save(args.fixture, ab.astype(np.float32))
        print(f"{args.fixture}: {ab.shape}, deviation {ab.std():.3f}, extremes {ab.min():.2f} {ab.max():.2f}")


if __name__ == "__main__":
    main()
