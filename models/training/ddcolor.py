"""The DDColor network (Kang et al., ICCV 2023, arXiv 2212.11613), stated for training and for checking.

Module names are the checkpoint names of the official release, so a state dict of this module *is* an
official-layout checkpoint whose spectral norms have been folded. Three things are written differently from
the paper's figure, without changing what is computed:

* Spectral norm at inference is a constant division, so it is folded into the weight (`fold_spectral_norm`).
* `refine_net` is linear in the query maps and a query map is linear in the full-size features. Multiplying the
  two matrices first (2 x C per picture) means that neither the 100-channel nor the C-channel full-size tensor
  has to exist. The blur after the last pixel shuffle is linear and works channel by channel, so it moves
  behind that product as well.
* BatchNorm can blend batch statistics with running statistics (`BlendedBatchNorm2d`), see there.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEADS = 8


@dataclass(frozen=True)
class Config:
    """Everything that differs between the sizes of the network."""

    depths: tuple[int, ...]
    dims: tuple[int, ...]
    decoder: tuple[int, int, int]  # channels after the three U-Net blocks
    last: int  # channels of the full-size features
    hidden: int = 256  # width of the colour decoder
    feedforward: int = 2048
    layers: int = 9
    queries: int = 100


TINY = Config((3, 3, 9, 3), (96, 192, 384, 768), (512, 512, 256), 256)
LARGE = Config((3, 3, 27, 3), (192, 384, 768, 1536), (512, 512, 256), 256)
STARTER = Config((2, 2, 6, 2), (64, 128, 256, 512), (256, 256, 128), 128, feedforward=1024, layers=3)


class BlendedBatchNorm2d(nn.Module):
    """BatchNorm2d that can slide from batch statistics (blend 0) to running statistics (blend 1) in training.

    Batches of different picture sizes have different statistics. Ordinary BatchNorm would let every size
    normalise itself in training and then force one average on all of them at inference, and the colours of the
    large sizes would suffer. Sliding to the running statistics before training ends closes that gap. `blend`
    is a tensor, so that changing it does not recompile the graph.
    """

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.02) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("blend", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        mean, var = self.running_mean, self.running_var
        if self.training:
            batch_var, batch_mean = torch.var_mean(x.float(), dim=(0, 2, 3), correction=0)
            old_mean, old_var = mean.clone(), var.clone()
            with torch.no_grad():
                self.running_mean.lerp_(batch_mean.detach(), self.momentum)
                self.running_var.lerp_(batch_var.detach(), self.momentum)
            mean = torch.lerp(batch_mean, old_mean, self.blend)
            var = torch.lerp(batch_var, old_var, self.blend)
        scale = self.weight * torch.rsqrt(var + self.eps)
        shift = self.bias - mean * scale
        return x * scale.to(x.dtype)[:, None, None] + shift.to(x.dtype)[:, None, None]


class LayerNormChannels(nn.Module):
    """LayerNorm over the channels of an NCHW tensor."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        # In channels-last memory both permutes are free.
        y = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps)
        return y.permute(0, 3, 1, 2)


class Block(nn.Module):
    """ConvNeXt block."""

    def __init__(self, dim: int, drop: float, layer_scale: float) -> None:
        super().__init__()
        self.drop = drop
        self.dwconv = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(torch.full((dim,), layer_scale))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))
        y = y.permute(0, 3, 1, 2)
        if self.training and self.drop > 0:
            keep = torch.rand(x.shape[0], 1, 1, 1, device=x.device) >= self.drop
            y = y * (keep.to(y.dtype) / (1 - self.drop))
        return x + y


class ConvNeXt(nn.Module):
    """The encoder: four stages, each returned normalised for the decoder and passed on un-normalised."""

    def __init__(self, cfg: Config, drop_path: float, layer_scale: float) -> None:
        super().__init__()
        dims = cfg.dims
        self.downsample_layers = nn.ModuleList([nn.Sequential(nn.Conv2d(3, dims[0], 4, 4), LayerNormChannels(dims[0]))])
        for a, b in zip(dims, dims[1:]):
            self.downsample_layers.append(nn.Sequential(LayerNormChannels(a), nn.Conv2d(a, b, 2, 2)))
        total, done = sum(cfg.depths), 0
        self.stages = nn.ModuleList()
        for dim, depth in zip(dims, cfg.depths):
            rates = [drop_path * (done + j) / max(total - 1, 1) for j in range(depth)]
            self.stages.append(nn.Sequential(*(Block(dim, r, layer_scale) for r in rates)))
            done += depth
        for i, dim in enumerate(dims):
            setattr(self, f"norm{i}", LayerNormChannels(dim))

    def forward(self, x: Tensor) -> list[Tensor]:
        out = []
        for i, (down, stage) in enumerate(zip(self.downsample_layers, self.stages)):
            x = stage(down(x))
            out.append(getattr(self, f"norm{i}")(x))
        return out


class Encoder(nn.Module):
    def __init__(self, cfg: Config, drop_path: float, layer_scale: float) -> None:
        super().__init__()
        self.arch = ConvNeXt(cfg, drop_path, layer_scale)


def blur(x: Tensor) -> Tensor:
    """Mean of each pixel with its upper and left neighbours: takes the checkerboard out of a pixel shuffle."""
    return F.avg_pool2d(F.pad(x, (1, 0, 1, 0), mode="replicate"), 2, stride=1)


class Shuffle(nn.Module):
    """1x1 convolution, BatchNorm, ReLU, twice the size, blur."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(cin, 4 * cout, 1, bias=False), BlendedBatchNorm2d(4 * cout))

    def forward(self, x: Tensor) -> Tensor:
        return blur(F.pixel_shuffle(F.relu(self.conv(x)), 2))


class UnetBlock(nn.Module):
    def __init__(self, cin: int, skip: int, cout: int) -> None:
        super().__init__()
        self.shuf = Shuffle(cin, cout)
        self.bn = BlendedBatchNorm2d(skip)
        self.conv = nn.Sequential(
            nn.Conv2d(cout + skip, cout, 3, padding=1, bias=False), nn.ReLU(), BlendedBatchNorm2d(cout)
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.conv(F.relu(torch.cat([self.shuf(x), self.bn(skip)], 1)))


class Attention(nn.Module):
    """Multi-head attention with the parameter names of torch.nn.MultiheadAttention."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        wq, wk, wv = self.in_proj_weight.chunk(3)
        bq, bk, bv = self.in_proj_bias.chunk(3)

        def heads(x: Tensor) -> Tensor:
            return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)

        q, k, v = heads(F.linear(query, wq, bq)), heads(F.linear(key, wk, bk)), heads(F.linear(value, wv, bv))
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out_proj(y.transpose(1, 2).flatten(2))


class CrossAttentionLayer(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.multihead_attn = Attention(dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, t: Tensor, query_pos: Tensor, memory: Tensor, memory_pos: Tensor) -> Tensor:
        return self.norm(t + self.multihead_attn(t + query_pos, memory + memory_pos, memory))


class SelfAttentionLayer(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.self_attn = Attention(dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, t: Tensor, query_pos: Tensor) -> Tensor:
        return self.norm(t + self.self_attn(t + query_pos, t + query_pos, t))


class FeedForwardLayer(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, t: Tensor) -> Tensor:
        return self.norm(t + self.linear2(F.relu(self.linear1(t))))


class Mlp(nn.Module):
    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


def sine_positions(h: int, w: int, dim: int, device: torch.device) -> Tensor:
    """2-D sine code, rows first: dim/2 features an axis, temperature 10000, coordinates normalised to 2 pi."""
    half = dim // 2
    freq = 10000.0 ** (2 * (torch.arange(half, device=device) // 2) / half)

    def axis(n: int) -> Tensor:
        pos = torch.arange(1, n + 1, device=device, dtype=torch.float32)
        angle = (pos / (n + 1e-6) * 2 * math.pi)[:, None] / freq
        return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], 2).flatten(1)

    y, x = axis(h), axis(w)
    return torch.cat([y[:, None].expand(h, w, half), x[None].expand(h, w, half)], 2).reshape(1, h * w, dim)


class ColorDecoder(nn.Module):
    """Colour queries that attend to the three scales in turn; returns one vector of `last` numbers a query."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        d = cfg.hidden
        self.query_feat = nn.Embedding(cfg.queries, d)
        self.query_embed = nn.Embedding(cfg.queries, d)
        self.level_embed = nn.Embedding(3, d)
        self.input_proj = nn.ModuleList(nn.Conv2d(c, d, 1) for c in cfg.decoder)
        self.transformer_self_attention_layers = nn.ModuleList(SelfAttentionLayer(d) for _ in range(cfg.layers))
        self.transformer_cross_attention_layers = nn.ModuleList(CrossAttentionLayer(d) for _ in range(cfg.layers))
        self.transformer_ffn_layers = nn.ModuleList(FeedForwardLayer(d, cfg.feedforward) for _ in range(cfg.layers))
        self.decoder_norm = nn.LayerNorm(d)
        self.color_embed = Mlp(d, d, d, cfg.last)

    def forward(self, scales: list[Tensor]) -> Tensor:
        memory, positions = [], []
        for i, (x, proj) in enumerate(zip(scales, self.input_proj)):
            h, w = x.shape[-2:]
            m = proj(x).flatten(2).transpose(1, 2)
            memory.append(m + self.level_embed.weight[i].to(m.dtype))
            positions.append(sine_positions(h, w, m.shape[-1], x.device).to(m.dtype))
        t = self.query_feat.weight[None].expand(scales[0].shape[0], -1, -1)
        pos = self.query_embed.weight[None]
        for i, ffn in enumerate(self.transformer_ffn_layers):
            j = i % 3
            t = self.transformer_cross_attention_layers[i](t, pos, memory[j], positions[j])
            t = self.transformer_self_attention_layers[i](t, pos)
            t = ffn(t)
        return self.color_embed(self.decoder_norm(t))


class LastShuffle(nn.Module):
    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(cin, 16 * cout, 1))


class Decoder(nn.Module):
    def __init__(self, cfg: Config) -> None:
        super().__init__()
        d, enc = cfg.decoder, cfg.dims
        self.layers = nn.ModuleList(
            [UnetBlock(enc[3], enc[2], d[0]), UnetBlock(d[0], enc[1], d[1]), UnetBlock(d[1], enc[0], d[2])]
        )
        self.last_shuf = LastShuffle(d[2], cfg.last)
        self.color_decoder = ColorDecoder(cfg)


class DDColor(nn.Module):
    """RGB in [0, 1] of a grey picture, N x 3 x H x W with H and W multiples of 32, to CIE a*, b* (times 1/`scale`)."""

    def __init__(self, cfg: Config, drop_path: float = 0.0, layer_scale: float = 0.1) -> None:
        super().__init__()
        self.cfg = cfg
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.encoder = Encoder(cfg, drop_path, layer_scale)
        self.decoder = Decoder(cfg)
        self.refine_net = nn.Sequential(nn.Sequential(nn.Conv2d(cfg.queries + 3, 2, 1)))

    def forward(self, rgb: Tensor) -> Tensor:
        return self.run(rgb)[0]

    def run(self, rgb: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """Also returns the encoder's normalised features (for distillation) and the colour embedding."""
        x = (rgb - self.mean) / self.std
        skips = self.encoder.arch(x)
        y, scales = skips[3], []
        for layer, skip in zip(self.decoder.layers, (skips[2], skips[1], skips[0])):
            y = layer(y, skip)
            scales.append(y)
        embed = self.decoder.color_decoder(scales)
        refine = self.refine_net[0][0]
        weight = refine.weight.flatten(1)
        q = self.cfg.queries
        # (2 x queries) . (queries x C): what the 1x1 refinement makes of each full-size channel.
        mix = weight[:, :q].to(embed.dtype) @ embed
        # The pixel shuffle wants channel c * 16 + position; position * C + c keeps the contracted axis contiguous.
        last = self.decoder.last_shuf.conv[0]
        c = self.cfg.last
        w = last.weight.flatten(1).view(c, 16, -1).transpose(0, 1).reshape(16 * c, -1, 1, 1)
        z = F.relu(F.conv2d(scales[2], w, last.bias.view(c, 16).t().reshape(-1)))
        n, _, h, w4 = z.shape
        z = z.permute(0, 2, 3, 1).reshape(n, h * w4 * 16, c)
        planes = (z @ mix.transpose(1, 2)).view(n, h, w4, 16, 2).permute(0, 4, 3, 1, 2).reshape(n, 32, h, w4)
        ab = blur(F.pixel_shuffle(planes.float(), 4))
        ab = ab + F.conv2d(x.float(), refine.weight[:, q:].float(), refine.bias.float())
        return ab, skips, embed


def init_weights(net: nn.Module) -> None:
    """Truncated normal for convolutions and linear layers, as ConvNeXt does; unit normal for the queries."""
    for m in net.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.trunc_normal_(m.weight, std=0.02)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
    if isinstance(net, DDColor):
        # ReLU branches of the U-Net and of the tail want variance-preserving weights instead.
        for m in net.decoder.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
        for name, p in net.decoder.color_decoder.named_parameters():
            if name.startswith("transformer") and p.dim() > 1:
                nn.init.xavier_uniform_(p)


def fold_spectral_norm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Official checkpoint to the names of this module: weight_orig / (u . (W v)), bookkeeping entries dropped."""
    out: dict[str, Tensor] = {}
    for key, value in state.items():
        if key.endswith("weight_orig"):
            base = key[: -len("_orig")]
            u, v = state[base + "_u"].double(), state[base + "_v"].double()
            sigma = u @ (value.double().flatten(1) @ v)
            out[base] = (value.double() / sigma).to(value.dtype)
        elif key.endswith(("weight_u", "weight_v", "num_batches_tracked")) or key.startswith("encoder.arch.norm."):
            continue
        else:
            out[key] = value
    return out
