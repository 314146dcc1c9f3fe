"""Hold `ddcolor.py` against the official network's output on a synthetic checkpoint.

    python check_golden.py GOLDEN_DIR

GOLDEN_DIR holds recipe.py (builds the checkpoint from names and shapes), shapes_tiny.json and
tiny_256x320_ab.npy. Anything above 1e-3 is a bug and not rounding.
"""
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import torch

from ddcolor import LARGE, TINY, DDColor, fold_spectral_norm


def main() -> None:
    folder = Path(sys.argv[1])
    spec = importlib.util.spec_from_file_location("recipe", folder / "recipe.py")
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    for name, cfg in (("tiny", TINY), ("large", LARGE)):
        if len(sys.argv) > 2 and sys.argv[2] != name:
            continue
        shapes = json.loads((folder / f"shapes_{name}.json").read_text())
        state = {k: torch.from_numpy(v) for k, v in recipe.checkpoint(shapes).items()}
        net = DDColor(cfg).eval()
        net.load_state_dict(fold_spectral_norm(state), strict=True)
        with torch.no_grad():
            ab, _, embed = net.run(torch.from_numpy(recipe.image(256, 320)))
        for what, got in (("ab", ab), ("color_embed", embed)):
            want = np.load(folder / f"{name}_256x320_{what}.npy")
            worst = float(np.abs(got.numpy() - want).max())
            print(f"{name} {what}: largest difference {worst:.2e} (reference deviation {want.std():.3f})")
            if worst > 1e-3:
                sys.exit("does not match the official network")


if __name__ == "__main__":
    main()
