"""Time the network in PyTorch, as its authors run it, on the weights that this program runs.

    python compare_pytorch.py WEIGHTS [--sizes 512x512x1,512x512x8,1280x960x1] [--modes fp32,half,compile] [--json]
    python compare_pytorch.py WEIGHTS --script DIR --out COLOURED [--json]
    python compare_pytorch.py WEIGHTS --export PLAIN.onnx --sizes 1280x960x1

WEIGHTS is a checkpoint under the official names, safetensors or PyTorch's own (`params` or bare), spectral norms folded
or not; every size of the family, told from the shapes. Sizes are WIDTHxHEIGHTxBATCH. Input and output stay on the first
CUDA device. The first run of a size is reported by itself; three more warm up; then the median of --runs is taken.

    fp32     no TF32 anywhere
    tf32     as PyTorch sets itself up: convolutions may use TF32, matrix products not
    half     `.half()`, channels last
    compile  `torch.compile` of the latter, compiled anew for every size (first_ms has the compilation)

The network is the plain one: 100 query maps at full size, a refinement of 103 channels, and where `ddcolor.py` writes a
layer otherwise than the authors do, the authors' form (`Published`). Two differences remain, and both spare PyTorch work:
spectral norms are divided out once instead of in every run, and position codes are computed once for all pictures of a
batch.

--script does what the authors' inference script does to a folder (piddnad/DDColor, commit 2adb63f, `scripts/infer.py`
and `ddcolor/pipeline.py`): one picture at a time, a 512 x 512 squash, chroma enlarged to nearest neighbours, FP32 with
PyTorch's own settings (`tf32` above), because the script changes none. With --sizes as well, both are measured. OpenCV
is used where it is installed, as there; without it Pillow and `colour.py` stand in, and the steps around the network are
not the authors' in speed. Loading the weights and one warm-up run are outside the time.

--export writes the network as a plain ONNX file of one size, as PyTorch's exporter makes it (the packages onnx and onnxscript are
needed): `autochrome models import` takes it, and `autochrome bench --networks` times it beside the graph of this program.

`peak_mib` is what PyTorch allocated at most, the first run included; `process_mib` is what the driver counts for the
process after the last run, with the context and the kernels that earlier rows loaded (for an exact figure, ask for one
size and one mode). `--device cpu` is there to see that everything works, not to compare.
"""
from __future__ import annotations

import argparse
import copy
import json
import os
import pickle
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from colour import lab_to_rgb, rgb_to_lab
from ddcolor import HEADS, Attention, BlendedBatchNorm2d, Config, DDColor, LayerNormChannels, blur, fold_spectral_norm

try:
    import cv2
except ImportError:
    cv2 = None

SIZES = "512x512x1,512x512x8,1280x960x1"
MODES = ("fp32", "tf32", "half", "compile")
WARM_UP = 3
SIDE = 512  # --input_size of the authors' script, by default


class Failure(Exception):
    """What was being done, and why it could not be; printed as one line."""


def main() -> None:
    ap = argparse.ArgumentParser(description="time PyTorch on the same weights")
    ap.add_argument("weights", type=Path)
    ap.add_argument("--sizes", help=f"WIDTHxHEIGHTxBATCH,… (without --script: {SIZES})")
    ap.add_argument("--modes", default="fp32,half,compile", help=f"of {', '.join(MODES)}")
    ap.add_argument("--runs", type=int, default=20)
    ap.add_argument("--script", type=Path, metavar="DIR", help="colour this folder as the authors' script does")
    ap.add_argument("--out", type=Path, metavar="DIR", help="where --script writes")
    ap.add_argument("--export", type=Path, metavar="FILE", help="write a plain ONNX file of the first of --sizes, and no more")
    ap.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    ap.add_argument("--json", action="store_true")
    args = ap.parse_args()
    try:
        whole = compare(args)
    except Failure as failure:
        sys.exit(f"compare_pytorch: {failure}")
    sys.exit(0 if whole else 1)


def compare(args: argparse.Namespace) -> bool:
    """False when a row could not be measured."""
    without_sizes = args.script and not args.export
    sizes = [parse_size(s) for s in (args.sizes or ("" if without_sizes else SIZES)).split(",") if s]
    modes = [m for m in args.modes.split(",") if m]
    for mode in modes:
        if mode not in MODES:
            raise Failure(f"--modes {mode}: not one of {', '.join(MODES)}")
    if args.runs < 1:
        raise Failure(f"--runs {args.runs}: at least one run is needed")
    if args.device == "cuda" and not torch.cuda.is_available():
        raise Failure("no CUDA device: PyTorch sees none (--device cpu shows that everything works, and compares nothing)")
    device = torch.device(args.device, 0)
    pictures = files_of(args.script, args.out) if args.script else []
    net = load(args.weights)
    if args.export:
        export(net, sizes[0], args.export)
        return True

    report = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "cudnn": torch.backends.cudnn.version() if device.type == "cuda" else None,
        "weights": args.weights.name,
        "parameters": sum(p.numel() for p in net.parameters()),
        "runs": args.runs,
        "rows": [],
    }
    say = (lambda line: None) if args.json else (lambda line: print(line, flush=True))
    say(f"{report['device']}, PyTorch {report['torch']}, {report['weights']}: {report['parameters']:,} parameters")
    if sizes and modes:
        say(f"{'mode':8} {'width':>6} {'height':>6} {'batch':>5} {'ms/picture':>11} {'first ms':>10} {'peak MiB':>9} "
            f"{'process MiB':>11}")
    for mode, size in ((m, s) for m in modes for s in sizes):
        row = {"mode": mode, "width": size.width, "height": size.height, "batch": size.batch}
        try:
            row |= measure(net, mode, size, device, args.runs)
        except RuntimeError as error:  # out of memory, a compiler that is not there
            row |= {"ms_per_picture": None, "first_ms": None, "peak_mib": None, "process_mib": None}
            row["error"] = first_line(error)
            print(f"compare_pytorch: {mode} {size}: {row['error']}", file=sys.stderr)
        report["rows"].append(row)
        say(f"{mode:8} {size.width:6} {size.height:6} {size.batch:5} {number(row['ms_per_picture'], 2):>11} "
            f"{number(row['first_ms'], 1):>10} {number(row['peak_mib'], 0):>9} {number(row['process_mib'], 0):>11}")
    if args.script:
        script = report["script"] = run_script(net, pictures, args.out, device)
        say(f"the authors' script with {script['tools']}: {script['pictures']} pictures of "
            f"{script['megapixels']:.1f} megapixels in all, {script['pictures_per_second']:.2f} pictures a second, "
            f"{script['left_out']} left out")
        for name, step in script["steps"].items():
            say(f"  {name:10} {step['ms_per_picture']:9.2f} ms/picture {100 * step['share']:6.1f} %")
    if args.json:
        print(json.dumps(report, indent=1))
    return not any("error" in row for row in report["rows"])


def number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


class Size(NamedTuple):
    width: int
    height: int
    batch: int

    def __str__(self) -> str:
        return "x".join(map(str, self))


def parse_size(text: str) -> Size:
    try:
        size = Size(*map(int, text.lower().split("x")))
    except (TypeError, ValueError):
        raise Failure(f"--sizes {text}: not WIDTHxHEIGHTxBATCH") from None
    if min(size) < 1 or size.width % 32 or size.height % 32:
        raise Failure(f"--sizes {text}: width and height must be multiples of 32, and everything above zero")
    return size


# The network


class PublishedLayerNorm(LayerNormChannels):
    """Step by step and in the memory format of its input, where ours is one fused call that leaves channels last."""

    def forward(self, x: Tensor) -> Tensor:
        away = x - x.mean(1, keepdim=True)
        x = away / torch.sqrt(away.pow(2).mean(1, keepdim=True) + self.eps)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class PublishedAttention(nn.MultiheadAttention):
    """PyTorch's own as the authors call it, which also forms the averaged attention weights nobody reads."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, HEADS, batch_first=True)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return super().forward(query, key, value)[0]


class Published(DDColor):
    """The network without the shortcut at its end, made of the layers that the authors' code uses."""

    def __init__(self, cfg: Config, state: dict[str, Tensor]) -> None:
        super().__init__(cfg)
        self.load_state_dict(state, strict=True)
        for parent in list(self.modules()):
            for name, layer in list(parent.named_children()):
                if isinstance(layer, BlendedBatchNorm2d):
                    published = nn.BatchNorm2d(len(layer.weight), layer.eps)
                elif isinstance(layer, LayerNormChannels):
                    published = PublishedLayerNorm(len(layer.weight), layer.eps)
                elif isinstance(layer, Attention):
                    published = PublishedAttention(layer.out_proj.in_features)
                else:
                    continue
                published.load_state_dict(layer.state_dict())
                setattr(parent, name, published)

    def forward(self, rgb: Tensor) -> Tensor:
        x = (rgb - self.mean) / self.std
        skips = self.encoder.arch(x)
        y, scales = skips[3], []
        for layer, skip in zip(self.decoder.layers, (skips[2], skips[1], skips[0])):
            y = layer(y, skip)
            scales.append(y)
        full = blur(F.pixel_shuffle(F.relu_(self.decoder.last_shuf.conv(y)), 4))
        maps = torch.einsum("bqc,bchw->bqhw", self.decoder.color_decoder(scales), full)
        del full  # as there: gone before the maps are copied beside the picture
        return self.refine_net(torch.cat([maps, x], 1))


def load(path: Path) -> Published:
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
            state = state.get("params", state)
        state = fold_spectral_norm({key: value.float() for key, value in state.items()})
    except pickle.UnpicklingError as error:  # PyTorch's own message advises to trust the file
        why = "not a PyTorch file, or one with more than tensors in it"
        raise Failure(f"{path} cannot be read as a checkpoint: {why}") from error
    except (OSError, EOFError, RuntimeError, ValueError, AttributeError, SafetensorError) as error:
        raise Failure(f"{path} cannot be read as a checkpoint: {first_line(error)}") from error
    except KeyError as error:
        raise Failure(f"{path}: a spectral norm lacks its {error}") from error
    try:
        return Published(config_of(state), state).eval()
    except KeyError as error:
        raise Failure(f"{path} is no DDColor checkpoint: {error} is not in it") from error
    except (RuntimeError, ValueError, IndexError) as error:
        raise Failure(f"{path} is no DDColor checkpoint: {' '.join(str(error).split())[:300]}") from error


def config_of(state: dict[str, Tensor]) -> Config:
    def count(prefix: str) -> int:
        return len({key[len(prefix) :].split(".")[0] for key in state if key.startswith(prefix)})

    def shape(key: str) -> torch.Size:
        return state[key].shape

    queries, hidden = shape("decoder.color_decoder.query_feat.weight")
    return Config(
        depths=tuple(count(f"encoder.arch.stages.{i}.") for i in range(4)),
        dims=tuple(shape(f"encoder.arch.stages.{i}.0.dwconv.weight")[0] for i in range(4)),
        decoder=tuple(shape(f"decoder.layers.{i}.conv.0.weight")[0] for i in range(3)),
        last=shape("decoder.last_shuf.conv.0.weight")[0] // 16,
        hidden=hidden,
        feedforward=shape("decoder.color_decoder.transformer_ffn_layers.0.linear1.weight")[0],
        layers=count("decoder.color_decoder.transformer_ffn_layers."),
        queries=queries,
    )


# The network alone


def measure(net: Published, mode: str, size: Size, device: torch.device, runs: int) -> dict[str, float | None]:
    precision(tf32=mode == "tf32")
    run = copy.deepcopy(net).to(device)
    grey = torch.rand(size.batch, 1, size.height, size.width, generator=torch.Generator().manual_seed(0))
    x = grey.expand(-1, 3, -1, -1).contiguous().to(device)
    if mode in ("half", "compile"):
        run = run.half().to(memory_format=torch.channels_last)
        x = x.half().contiguous(memory_format=torch.channels_last)
    if mode == "compile":
        torch.compiler.reset()
        run = torch.compile(run, dynamic=False)

    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    with torch.inference_mode():
        first = timed(run, x)
        for _ in range(WARM_UP):
            timed(run, x)
        times = [timed(run, x) for _ in range(runs)]
    return {
        "ms_per_picture": statistics.median(times) / size.batch,
        "first_ms": first,
        "peak_mib": torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None,
        "process_mib": process_mib() if device.type == "cuda" else None,
    }


def export(net: Published, size: Size, path: Path) -> None:
    x = torch.rand(size.batch, 3, size.height, size.width)
    try:
        with torch.inference_mode():
            torch.onnx.export(net, (x,), path, input_names=["input"], output_names=["output"], external_data=False)
    except ImportError as error:
        raise Failure(f"--export needs the packages onnx and onnxscript: {first_line(error)}") from error
    except (OSError, RuntimeError) as error:
        raise Failure(f"--export {path}: {first_line(error)}") from error


def precision(tf32: bool) -> None:
    """TF32 in convolutions is PyTorch's default and in matrix products is not, but some images turn it on there as well."""
    torch.backends.cudnn.allow_tf32 = tf32
    torch.set_float32_matmul_precision("highest")


def timed(run: nn.Module, x: Tensor) -> float:
    """Milliseconds of one run, its output left on the device."""
    synchronize(x.device)
    start = time.perf_counter()
    run(x)
    synchronize(x.device)
    return 1000 * (time.perf_counter() - start)


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def process_mib() -> float | None:
    """What the driver counts for this process; None where it cannot tell (a container with process numbers of its own)."""
    try:
        import pynvml

        used = []
        pynvml.nvmlInit()
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            processes = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
            used += [p.usedGpuMemory / 2**20 for p in processes if p.pid == os.getpid() and p.usedGpuMemory]
    except Exception:  # noqa: BLE001 - not installed, no driver library, no right to ask: nvidia-smi may know
        used = []
    return sum(used) or smi_mib()


def smi_mib() -> float | None:
    command = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.splitlines()
        return sum(float(mib) for pid, mib in (line.split(",") for line in lines) if int(pid) == os.getpid()) or None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


# The authors' script


class OpenCv:
    """Blue first, as OpenCV reads; nothing below looks at the order."""

    name = f"OpenCV {cv2.__version__}" if cv2 else ""

    @staticmethod
    def read(path: Path) -> np.ndarray | None:
        return cv2.imread(str(path))

    @staticmethod
    def resize(picture: np.ndarray, side: int) -> np.ndarray:
        return cv2.resize(picture, (side, side))

    @staticmethod
    def to_lab(picture: np.ndarray) -> np.ndarray:
        return cv2.cvtColor(picture, cv2.COLOR_BGR2Lab)

    @staticmethod
    def from_lab(lab: np.ndarray) -> np.ndarray:
        return cv2.cvtColor(lab, cv2.COLOR_LAB2BGR)

    @staticmethod
    def write(path: Path, picture: np.ndarray) -> bool:
        try:
            return cv2.imwrite(str(path), picture)
        except cv2.error:  # a suffix it cannot write
            return False


class Pillow:
    """Stands in for OpenCV: the same steps, at another speed."""

    name = f"Pillow {Image.__version__}"

    @staticmethod
    def read(path: Path) -> np.ndarray | None:
        try:
            with Image.open(path) as image:
                return np.array(ImageOps.exif_transpose(image).convert("RGB"))
        except (OSError, ValueError, Image.DecompressionBombError):
            return None

    @staticmethod
    def resize(picture: np.ndarray, side: int) -> np.ndarray:
        return of_tensor(F.interpolate(as_tensor(picture), (side, side), mode="bilinear", align_corners=False))

    @staticmethod
    def to_lab(picture: np.ndarray) -> np.ndarray:
        return of_tensor(rgb_to_lab(as_tensor(picture)))

    @staticmethod
    def from_lab(lab: np.ndarray) -> np.ndarray:
        return of_tensor(lab_to_rgb(as_tensor(lab)))

    @staticmethod
    def write(path: Path, picture: np.ndarray) -> bool:
        # OpenCV's own JPEG quality.
        options = {"quality": 95} if path.suffix.lower() in (".jpg", ".jpeg") else {}
        try:
            Image.fromarray(picture).save(path, **options)
        except (OSError, ValueError):
            return False
        return True


def as_tensor(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None]


def of_tensor(planes: Tensor) -> np.ndarray:
    return planes[0].permute(1, 2, 0).numpy()


class Steps:
    """Adds up where the time of every picture went."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.start()

    def start(self) -> None:
        self.last = time.perf_counter()

    def done(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - self.last
        self.last = now


def files_of(folder: Path, out: Path | None) -> list[Path]:
    if out is None:
        raise Failure("--script writes pictures: --out must say where")
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
        out.mkdir(parents=True, exist_ok=True)
        if out.samefile(folder):
            raise Failure(f"--out {out}: is the folder of the originals, which would be overwritten")
    except OSError as error:
        raise Failure(f"--script {folder} --out {out}: {error}") from error
    if not files:
        raise Failure(f"--script {folder}: no files in it")
    return files


def run_script(net: Published, files: list[Path], out: Path, device: torch.device) -> dict:
    """Every step's time is its own: `.cpu()` waits for the network, and nothing else runs on the device."""
    precision(tf32=True)
    tools = OpenCv if cv2 else Pillow
    net = copy.deepcopy(net).to(device)
    steps, written, left_out, pixels = Steps(), 0, 0, 0
    with torch.inference_mode():
        net(torch.rand(1, 3, SIDE, SIDE, device=device)).cpu()
        begun = time.perf_counter()
        for file in files:
            steps.start()
            picture = tools.read(file)
            steps.done("read")
            if picture is not None:
                coloured = colour(net, picture, tools, device, steps)
                steps.start()
                saved = tools.write(out / file.name, coloured)
                steps.done("write")
            if picture is None or not saved:
                left_out += 1
                print(f"compare_pytorch: {file}: left out, {tools.name} cannot "
                      f"{'read' if picture is None else 'write'} it", file=sys.stderr)
                continue
            written += 1
            pixels += picture.shape[0] * picture.shape[1]
        seconds = time.perf_counter() - begun
    if not written:
        raise Failure(f"--script {files[0].parent}: none of its {len(files)} files is a picture that could be coloured")
    total = sum(steps.seconds.values())
    return {
        "tools": tools.name,
        "pictures": written,
        "left_out": left_out,
        "megapixels": pixels / 1e6,
        "seconds": seconds,
        "pictures_per_second": written / seconds,
        "steps": {
            name: {"ms_per_picture": 1000 * spent / written, "share": spent / total}
            for name, spent in steps.seconds.items()
        },
    }


def colour(net: nn.Module, picture: np.ndarray, tools: type, device: torch.device, steps: Steps) -> np.ndarray:
    height, width = picture.shape[:2]
    steps.start()
    picture = (picture / 255.0).astype(np.float32)
    lightness = tools.to_lab(picture)[:, :, :1]
    steps.done("lightness")

    small = tools.to_lab(tools.resize(picture, SIDE))[:, :, :1]
    grey = tools.from_lab(np.concatenate([small, np.zeros_like(small), np.zeros_like(small)], -1))
    steps.done("squash")

    x = torch.from_numpy(np.ascontiguousarray(grey.transpose(2, 0, 1)))[None].to(device)
    ab = net(x).cpu()
    steps.done("network")

    ab = F.interpolate(ab, size=(height, width))[0].numpy().transpose(1, 2, 0)
    steps.done("enlarge")

    joined = tools.from_lab(np.concatenate([lightness, ab], -1))
    coloured = (joined * 255.0).round().astype(np.uint8)
    steps.done("join")
    return coloured


if __name__ == "__main__":
    main()
