"""Render pages for the scene router's class `document`: letters, print, tables, cards, maps, manuscripts.

    python render_pages.py PAGES.tar [--train 1300] [--test 200] [--seed 20261125]

The tar holds {train,test}/page/NNNN.jpg, grey, at most 256 pixels on the long side, and masks of marks that film has
near its edges (train/stamp/). Every page is drawn at about 1100
pixels with the fonts that fontconfig finds, aged (paper, stains, folds, uneven light, a dark copy stand around it,
microfilm negatives), and reduced. Whole font families are kept for the test pages. Words are made of syllables: what
counts at this size is how writing lies on a page, not what it says.
"""
from __future__ import annotations

import argparse
import io
import math
import multiprocessing as mp
import subprocess
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SYLLABLES = "ba be ber bi car con da de den di do el en er es fa fo ge ha hi in ing ka la le li ly ma me mi mo na ne no or pa per po qua ra re ri ro sa se si so ta te ter ti tion to um un ur va ve vi war wi".split()
KINDS = ("letter", "print", "newspaper", "table", "card", "map", "plan", "manuscript", "title")
MONO, SCRIPT = ("mono", "courier", "typewriter", "nimbusmono"), ("chancery", "z003", "script", "italic")


def fonts() -> list[str]:
    listed = subprocess.run(["fc-list", ":lang=en", "file"], capture_output=True, text=True, check=True).stdout
    files = sorted(line.rstrip(": ") for line in listed.splitlines() if line.rstrip(": ").endswith((".ttf", ".otf")))
    if not files:
        raise SystemExit("no TrueType or OpenType fonts: install some, for example Liberation and TeX Gyre")
    return [f for f in files if not any(w in f.lower() for w in ("symbol", "dingbat", "math", "d050000l", "initials"))]


class Pen:
    def __init__(self, seed: int, files: list[str]) -> None:
        self.rng, self.files = np.random.default_rng(seed), files

    def pick(self, some):
        return some[int(self.rng.integers(len(some)))]

    def u(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def font(self, size: float, like: tuple[str, ...] = ()) -> ImageFont.FreeTypeFont:
        some = [f for f in self.files if any(w in f.lower() for w in like)] or self.files
        return ImageFont.truetype(self.pick(some), max(7, round(size)))

    def word(self) -> str:
        w = "".join(self.pick(SYLLABLES) for _ in range(int(self.rng.integers(1, 4))))
        return w.capitalize() if self.chance(0.12) else w

    def number(self) -> str:
        return self.pick([f"{self.rng.integers(1, 9999):,}", f"{self.u(0, 99):.2f}", f"{self.rng.integers(1850, 1950)}", "-", str(self.rng.integers(1, 99))])

    def paragraph(self, draw: ImageDraw.ImageDraw, box, font, ink: int, spacing: float, last: float | None = None) -> float:
        """Fills a box with lines of words; gives back where the next line would stand."""
        x0, y0, x1, y1 = box
        y, step = y0, font.size * spacing
        stop = y1 if last is None else min(y1, y0 + last)
        while y + step < stop:
            x, end = x0 + (self.u(0, 40) if self.chance(0.1) else 0), x1 - (self.u(0, 0.6) * (x1 - x0) if self.chance(0.12) else 0)
            words = ""
            while font.getlength(words) < end - x - font.size * 3:
                words += self.word() + self.pick([" ", " ", " ", " ", ", ", ". "])
            draw.text((x, y), words, fill=ink, font=font)
            y += step
        return y


def letter(p: Pen, d, w, h, ink) -> None:
    f, m = p.font(p.u(15, 26), MONO), p.u(0.06, 0.14) * w
    d.text((p.u(0.1, 0.5) * w, p.u(0.03, 0.06) * h), " ".join(p.word() for _ in range(3)).upper(), fill=ink, font=p.font(p.u(20, 46)))
    y = p.u(0.1, 0.2) * h
    for _ in range(int(p.rng.integers(2, 6))):
        d.text((m, y), " ".join(p.word() for _ in range(4)), fill=ink, font=f)
        y += f.size * 1.3
    y += f.size * 2
    while y < h * p.u(0.6, 0.95):
        y = p.paragraph(d, (m, y, w - m, h * 0.93), f, ink, p.pick([1.2, 1.5, 2.0]), p.u(80, 400)) + f.size
    if p.chance(0.6):
        d.text((w * p.u(0.45, 0.6), min(y, h * 0.92)), p.word() + " " + p.word(), fill=ink, font=p.font(p.u(28, 50), SCRIPT))


def print_(p: Pen, d, w, h, ink) -> None:
    f, m = p.font(p.u(13, 24)), p.u(0.05, 0.13) * w
    columns, gap = int(p.pick([1, 1, 1, 2, 2, 3])), p.u(0.02, 0.04) * w
    y0 = p.u(0.05, 0.12) * h
    if p.chance(0.5):
        d.text((w / 2, y0), " ".join(p.word() for _ in range(4)).upper(), fill=ink, font=p.font(p.u(22, 44)), anchor="mm")
        y0 += 50
    each = (w - 2 * m - gap * (columns - 1)) / columns
    for c in range(columns):
        x = m + c * (each + gap)
        y = y0
        while y < h * 0.9:
            y = p.paragraph(d, (x, y, x + each, h * p.u(0.88, 0.95)), f, ink, p.u(1.15, 1.45), p.u(100, 700))
            y += f.size * p.u(0.3, 1.2)


def newspaper(p: Pen, d, w, h, ink) -> None:
    d.text((w / 2, h * 0.05), " ".join(p.word() for _ in range(3)).upper(), fill=ink, font=p.font(p.u(50, 90)), anchor="mm")
    d.line((w * 0.03, h * 0.09, w * 0.97, h * 0.09), fill=ink, width=3)
    n, m = int(p.rng.integers(4, 8)), 0.03 * w
    each = (w - 2 * m) / n
    for c in range(n):
        x, y = m + c * each, h * 0.1
        while y < h * 0.95:
            if p.chance(0.4):
                f = p.font(p.u(18, 30))
                y = p.paragraph(d, (x + 5, y, x + each - 5, h * 0.97), f, ink, 1.1, f.size * 2.5) + 6
            if p.chance(0.06):
                tall = p.u(60, 130)
                d.rectangle((x + 6, y, x + each - 6, y + tall), fill=int(p.u(90, 170)))
                d.ellipse((x + each * 0.3, y + tall * 0.1, x + each * 0.7, y + tall * 0.8), fill=int(p.u(40, 220)))
                y += tall + 8
            y = p.paragraph(d, (x + 5, y, x + each - 5, h * 0.97), p.font(p.u(10, 14)), ink, 1.2, p.u(60, 400)) + 8
        if c and p.chance(0.7):
            d.line((x, h * 0.1, x, h * 0.97), fill=ink)


def table(p: Pen, d, w, h, ink) -> None:
    f = p.font(p.u(12, 24), p.pick([MONO, (), SCRIPT]))
    m, rows, columns = p.u(0.04, 0.1) * w, int(p.rng.integers(10, 45)), int(p.rng.integers(3, 10))
    top = h * p.u(0.06, 0.18)
    d.text((m, top * 0.4), " ".join(p.word() for _ in range(5)), fill=ink, font=p.font(p.u(20, 40)))
    xs = np.cumsum(np.r_[0, p.rng.uniform(0.5, 1.5, columns)])
    xs = m + xs / xs[-1] * (w - 2 * m)
    tall = (h * p.u(0.8, 0.95) - top) / rows
    across, down, faint = p.chance(0.7), p.chance(0.7), int(ink + p.u(0, 0.5) * (200 - ink))
    for r in range(rows + 1):
        y = top + r * tall
        if across or r in (0, 1, rows):
            d.line((m, y, w - m, y), fill=faint, width=int(p.pick([1, 2])))
        for c in range(columns if r < rows and p.chance(0.95) else 0):
            if p.chance(0.85):
                text = p.word().capitalize() + " " + p.word() if c == 0 else p.number()
                while len(text) > 2 and f.getlength(text) > xs[c + 1] - xs[c] - 6:
                    text = text[:-1]
                d.text((xs[c] + 4, y + max(0, (tall - f.size) / 2)), text, fill=ink, font=f)
    if down:
        for x in xs:
            d.line((x, top, x, top + rows * tall), fill=faint)


def card(p: Pen, d, w, h, ink) -> None:
    f = p.font(p.u(18, 34), p.pick([MONO, MONO, SCRIPT, ()]))
    x, y = w * p.u(0.05, 0.15), h * p.u(0.06, 0.12)
    ruled = p.chance(0.5)
    for i in range(int(p.rng.integers(4, 14))):
        if p.chance(0.85):
            d.text((x + (0 if i % 4 else -10) + 20, y), " ".join(p.word() for _ in range(int(p.rng.integers(1, 8)))), fill=ink, font=f)
        if ruled:
            d.line((0, y + f.size * 1.25, w, y + f.size * 1.25), fill=150)
        y += f.size * 1.5
    if p.chance(0.5):
        d.ellipse((w / 2 - 14, h - 50, w / 2 + 14, h - 22), fill=40)
    if p.chance(0.4):
        d.rectangle((w * 0.7, h * 0.05, w * 0.95, h * 0.2), outline=ink, width=2)
        d.text((w * 0.72, h * 0.08), p.number(), fill=ink, font=f)


def curve(p: Pen, x, y, length: int, step: float, turn: float):
    a, points = p.u(0, 2 * math.pi), []
    for _ in range(length):
        points.append((x, y))
        a += p.rng.normal(0, turn)
        x, y = x + step * math.cos(a), y + step * math.sin(a)
    return points


def map_(p: Pen, d, w, h, ink) -> None:
    t = np.linspace(0, 1, 90)
    gx, gy = np.meshgrid(t, t * h / w)
    field = sum(p.u(0.3, 1) * np.sin(gx * p.u(2, 14) + p.u(0, 6)) * np.cos(gy * p.u(2, 14) + p.u(0, 6)) for _ in range(4))
    if p.chance(0.5):  # contour lines, cell by cell
        levels = np.linspace(field.min(), field.max(), int(p.rng.integers(6, 16)))
        band = np.digitize(field, levels)
        sx, sy = w / 89, h / 89
        for j, i in np.argwhere(band[:, 1:] != band[:, :-1]):
            d.line((i * sx + sx, j * sy, i * sx + sx + p.u(-4, 4), j * sy + sy), fill=ink if p.chance(0.3) else 140)
        for j, i in np.argwhere(band[1:] != band[:-1]):
            d.line((i * sx, j * sy + sy, i * sx + sx, j * sy + sy + p.u(-4, 4)), fill=ink if p.chance(0.3) else 140)
    for _ in range(int(p.rng.integers(1, 7))):
        d.line(curve(p, p.u(0, w), p.u(0, h), 90, 22, 0.25), fill=ink, width=int(p.pick([2, 3, 5])), joint="curve")
    for _ in range(int(p.rng.integers(3, 22))):
        d.line(curve(p, p.u(0, w), p.u(0, h), 30, 30, 0.12), fill=ink, width=1)
    if p.chance(0.4):  # a town: blocks along streets
        a, size = p.u(0, 1.5), p.u(25, 60)
        for i in range(-20, 40):
            for j in range(-20, 40):
                x, y = w / 2 + (i * math.cos(a) - j * math.sin(a)) * size, h / 2 + (i * math.sin(a) + j * math.cos(a)) * size
                if p.chance(0.6):
                    s = size * p.u(0.25, 0.42)
                    corners = [(x + s * math.cos(a + q), y + s * math.sin(a + q)) for q in (0.8, 2.4, 3.9, 5.5)]
                    d.polygon(corners, outline=ink, fill=int(p.pick([255, 200, 130])) if p.chance(0.5) else None)
    for _ in range(int(p.rng.integers(8, 70))):
        f = p.font(p.u(11, 30))
        d.text((p.u(0, w), p.u(0, h)), p.word().capitalize(), fill=ink, font=f)
        if p.chance(0.5):
            x, y = p.u(0, w), p.u(0, h)
            d.ellipse((x - 4, y - 4, x + 4, y + 4), outline=ink, width=2)
    if p.chance(0.6):
        d.rectangle((12, 12, w - 12, h - 12), outline=ink, width=3)
        d.rectangle((22, 22, w - 22, h - 22), outline=ink)


def plan(p: Pen, d, w, h, ink) -> None:
    """A drawing: rooms, dimensions, a legend."""
    boxes = [(w * 0.1, h * 0.1, w * 0.9, h * 0.75)]
    for _ in range(int(p.rng.integers(4, 14))):
        x0, y0, x1, y1 = boxes.pop(0)
        k = p.u(0.3, 0.7)
        boxes += [(x0, y0, x0 + (x1 - x0) * k, y1), (x0 + (x1 - x0) * k, y0, x1, y1)] if x1 - x0 > y1 - y0 else [(x0, y0, x1, y0 + (y1 - y0) * k), (x0, y0 + (y1 - y0) * k, x1, y1)]
    for b in boxes:
        d.rectangle(b, outline=ink, width=int(p.pick([2, 4, 6])))
        d.text((b[0] + 8, b[1] + 8), p.word(), fill=ink, font=p.font(p.u(12, 20)))
        if p.chance(0.4):
            r = p.u(20, 70)
            d.arc((b[0] - r, b[1] - r, b[0] + r, b[1] + r), 0, 90, fill=ink, width=2)
    for _ in range(int(p.rng.integers(1, 5))):
        y = p.u(0.78, 0.95) * h
        d.line((w * 0.1, y, w * 0.9, y), fill=ink)
        d.text((w * p.u(0.1, 0.7), y - 18), p.number() + " " + p.word(), fill=ink, font=p.font(14))


def manuscript(p: Pen, d, w, h, ink) -> None:
    f, m = p.font(p.u(22, 44), SCRIPT), p.u(0.04, 0.14) * w
    if p.chance(0.4):
        for y in np.arange(h * 0.06, h * 0.96, f.size * 1.4):
            d.line((0, y + f.size, w, y + f.size), fill=185)
    p.paragraph(d, (m, p.u(0.05, 0.15) * h, w - m, h * 0.95), f, ink, 1.4)


def title(p: Pen, d, w, h, ink) -> None:
    y = h * p.u(0.1, 0.2)
    while y < h * 0.9:
        f = p.font(p.u(18, 80))
        d.text((w / 2, y), " ".join(p.word() for _ in range(int(p.rng.integers(1, 4)))).upper(), fill=ink, font=f, anchor="mm")
        y += f.size * p.u(1.2, 3)
    if p.chance(0.5):
        d.rectangle((w * 0.05, h * 0.04, w * 0.95, h * 0.96), outline=ink, width=int(p.pick([2, 4])))


def age(p: Pen, page: Image.Image) -> Image.Image:
    """Paper, light and camera."""
    x = np.asarray(page.filter(ImageFilter.GaussianBlur(p.u(0.3, 1.4))), np.float32) / 255
    h, w = x.shape
    low, high = p.u(0.0, 0.3), p.u(0.7, 1.0)
    x = low + x * (high - low)
    cloud = p.rng.normal(0, 1, (int(p.rng.integers(3, 9)), int(p.rng.integers(3, 9))))
    cloud = np.asarray(Image.fromarray(cloud.astype(np.float32)).resize((w, h), Image.BICUBIC))
    x = x * (1 + cloud * p.u(0, 0.09))
    if p.chance(0.3):  # show-through of the other side
        x = np.minimum(x, 1 - p.u(0.02, 0.12) * (1 - x[:, ::-1]))
    for _ in range(int(p.rng.integers(0, 3)) if p.chance(0.5) else 0):  # folds
        at = int(p.u(0.2, 0.8) * (h if p.chance(0.5) else w))
        strip = x[max(0, at - 2) : at + 3] if at < h and p.chance(0.5) else x[:, max(0, at - 2) : at + 3]
        strip *= p.u(0.75, 1.15)
    im = Image.fromarray(np.uint8(np.clip(x, 0, 1) * 255))
    ground = int(p.u(0, 70) if p.chance(0.8) else p.u(150, 255))
    if p.chance(0.6):
        im = im.rotate(p.rng.normal(0, 2.0) + (90 if p.chance(0.05) else 0), Image.BICUBIC, expand=True, fillcolor=ground)
    if p.chance(0.4):
        b = [int(p.u(0, 0.12) * w) for _ in range(4)]
        big = Image.new("L", (im.width + b[0] + b[1], im.height + b[2] + b[3]), ground)
        big.paste(im, (b[0], b[2]))
        im = big
    if p.chance(0.3):  # a part of a page
        k = p.u(0.5, 0.9)
        cw, ch = int(im.width * k), int(im.height * p.u(0.5, 0.9))
        x0, y0 = int(p.u(0, im.width - cw)), int(p.u(0, im.height - ch))
        im = im.crop((x0, y0, x0 + cw, y0 + ch))
    if p.chance(0.08):  # microfilm negative
        im = Image.eval(im, lambda v: 255 - v)
    return im


DRAW = {"letter": letter, "print": print_, "newspaper": newspaper, "table": table, "card": card, "map": map_, "plan": plan, "manuscript": manuscript, "title": title}


def render(job: tuple[int, list[str]]) -> bytes:
    seed, files = job
    p = Pen(seed, files)
    kind = KINDS[int(p.rng.choice(len(KINDS), p=[0.17, 0.17, 0.08, 0.15, 0.09, 0.14, 0.06, 0.09, 0.05]))]
    w, h = {"card": (1100, 680), "map": p.pick([(1200, 900), (900, 1200)])}.get(kind, p.pick([(850, 1100), (800, 1200), (1200, 850)]))
    page = Image.new("L", (w, h), 255)
    DRAW[kind](p, ImageDraw.Draw(page), w, h, int(p.u(0, 90)))
    im = age(p, page)
    im.thumbnail((256, 256), Image.LANCZOS)
    out = io.BytesIO()
    im.save(out, "JPEG", quality=78)
    return out.getvalue()


def stamp(job: tuple[int, list[str]]) -> bytes:
    """A mask of 256 x 256: a number or some words near the upper edge, or along it."""
    p = Pen(*job)
    im = Image.new("L", (256, 256))
    d = ImageDraw.Draw(im)
    for _ in range(int(p.rng.integers(1, 4))):
        text = p.pick([p.number(), f"{p.rng.integers(1000, 99999)}-{p.pick('ABDEM')}", p.word(), p.word() + " " + p.number(), "KODAK SAFETY"])
        d.text((p.u(2, 190), p.u(1, 24) if p.chance(0.85) else p.u(225, 240)), text, fill=int(p.u(150, 255)), font=p.font(p.u(8, 20), p.pick([SCRIPT, ()])))
    im = im.filter(ImageFilter.GaussianBlur(p.u(0.2, 0.8)))
    out = io.BytesIO()
    im.save(out, "JPEG", quality=80)
    return out.getvalue()


def main() -> None:
    ap = argparse.ArgumentParser(description="render pages for the class document")
    ap.add_argument("tar", type=Path)
    ap.add_argument("--train", type=int, default=1300)
    ap.add_argument("--test", type=int, default=200)
    ap.add_argument("--stamps", type=int, default=150, help="marks to write on photographs, {train}/stamp/")
    ap.add_argument("--seed", type=int, default=20261125)
    args = ap.parse_args()
    files = fonts()
    kept = [f for f in files if any(w in f.lower() for w in ("libertine", "courierprime", "c059", "z003"))]
    rest = [f for f in files if f not in kept]
    jobs = [(args.seed * 100_000 + i, rest) for i in range(args.train)] + [(args.seed * 100_000 + 50_000 + i, kept or rest) for i in range(args.test)]
    marks = [(args.seed * 100_000 + 90_000 + i, files) for i in range(args.stamps)]
    names = [f"train/page/{i:04}.jpg" for i in range(args.train)] + [f"test/page/{i:04}.jpg" for i in range(args.test)]
    with mp.Pool() as pool, tarfile.open(args.tar, "w") as t:
        pages = zip(names, pool.imap(render, jobs, chunksize=8))
        for name, data in (*pages, *zip((f"train/stamp/{i:04}.jpg" for i in range(args.stamps)), pool.imap(stamp, marks))):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    print(f"{args.train} + {args.test} pages with {len(rest)} + {len(kept)} fonts, {args.tar.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
