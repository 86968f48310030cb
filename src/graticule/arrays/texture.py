"""Tissue against empty resin in electron micrographs, by texture.

Empty resin shows the camera's noise and nothing else; tissue shows structure at all scales. So resin is what varies as
little as anything does in this volume (`measure`, once), and near what is surely resin, what is as grey as it is
resin too, which draws the outline to the pixel where texture needs a window (`confidence`, plane by plane).

Work per pixel is a few passes of short filters. Squares and products are then pooled into cells of `CELL` x `CELL`
pixels, and everything wider happens on the lattice of cells. Cells are laid from the image's first pixel, and all
filters have fixed taps (a running sum's rounding would depend on where it began): so a tile that starts at a multiple
of `CELL` and sees `Scales.reach_px` further than it is kept gives, bit for bit, what the whole plane gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from scipy import ndimage

from graticule.errors import FormatError, SettingsError
from graticule.image import Array, Floats, Image

CELL = 4  # pixels: noise still averages over 16, and an outline is placed by pixels anyway
RATIO = 1.6  # of the two Gaussians of a DoG: nearest to a Laplacian (Marr and Hildreth 1980)
TERMS = ("texture", "variance", "tensor", "edges")
"""What evidence is made of; each can be left out, to see what it is good for."""

TRUNCATE = 3  # standard deviations after which a Gaussian's taps end
FINE = 1 / 3  # of a block: the window across which fine texture is averaged
NEAR = 1.75  # blocks across which the grey level of resin is looked for
FLOOR = 1e-6  # energy, in squared units of the grey levels' spread, below which there is no texture at all
ANY = np.float32(1e-6)  # less of something than this is none of it
STEPS = np.float32(255)  # confidences are whole 255ths, so that storing them as bytes loses nothing

FEWEST = 64  # cells from which anything can be said
LEAST = 0.1  # of the highest top of a histogram: lower ones are chance
VALLEY = 0.85  # of a top: only a deeper valley ends it
WIDEST = 2.6  # times as wide as that of white noise may the peak of resin be: cameras' noise is not white, nor even
GROWTH, GROWTH_PX = (
    1.6,
    21,
)  # so many times its cells' variance may be that of a window of noise; measured 1.1-1.2, in tissue 1.9-2.7
SOFTNESS = 0.25  # of the peak's spread
ENOUGH = np.float32(1e-3)  # of what is around: so little sure resin will do to know how grey it is
ONE_SIDED = 0.25  # of the cells as unlike resin as tissue is, fewer must be unlike it in the other direction
WINDOW = 512  # pixels, side of what is sampled of large images
MOST_WINDOWS = 64

STRIP = 128  # rows worked on at a time, so that they stay in the processor's cache


@dataclass(frozen=True, slots=True)
class Scales:
    """Sizes of filters and windows, in pixels.

    Attributes
    ----------
    block_size
        Side of the windows in which variance is measured; fine texture is averaged across a third of it.
    texture_sigma
        Of the narrower Gaussian of the difference of Gaussians.
    edge_sigma
        Of the Gaussian before gradients are taken.
    terms
        Which of `TERMS` count.
    """

    block_size: int = 64
    texture_sigma: float = 1.0
    edge_sigma: float = 0.5
    terms: tuple[str, ...] = TERMS

    def __post_init__(self) -> None:
        if self.block_size < 3 * CELL or self.texture_sigma <= 0 or self.edge_sigma <= 0:
            raise SettingsError(
                f"found block_size {self.block_size}, texture_sigma {self.texture_sigma}, edge_sigma {self.edge_sigma}; "
                f"need a block of at least {3 * CELL} pixels and sigmas above 0"
            )
        if not set(self.terms) - {"variance"} or not set(self.terms) <= set(TERMS):
            raise SettingsError(f"found terms {self.terms}; need some of {TERMS}, and not variance alone")

    @property
    def margin_px(self) -> int:
        """Pixels that a pooled value depends on beyond its own cell."""
        dog = radius(self.texture_sigma) + radius(_step(self.texture_sigma))
        return max(dog, radius(self.edge_sigma) + 1)

    @property
    def fine(self) -> float:
        """Standard deviation of the fine window, in cells: that of a box of its size."""
        return _box(self.block_size * FINE)

    @property
    def block(self) -> float:
        return _box(self.block_size)

    @property
    def near(self) -> float:
        return _box(self.block_size * NEAR)

    @property
    def reach_px(self) -> int:
        """How far a pixel sees, in whole cells."""
        fine = radius(1.0) + radius(self.fine)
        cells = max(fine + radius(self.near), radius(self.block)) + 1  # the next cell, between which is interpolated
        return cells * CELL + -(-self.margin_px // CELL) * CELL


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """What is pooled from the pixels of a plane, each ``(rows, columns)`` of cells.

    `grey` is the mean, `variance` that within the cell; `dog` is the mean of the squared difference of Gaussians; `down`
    and `across` are those of the gradient, `yy`, `xx` and `xy` those of its products. `smooth` is ``(h, w)``, the plane
    after the narrower Gaussian.
    """

    grey: Floats
    variance: Floats
    dog: Floats
    down: Floats
    across: Floats
    yy: Floats
    xx: Floats
    xy: Floats
    smooth: Floats


@dataclass(frozen=True, slots=True)
class Resin:
    """What was measured about a volume, in logarithms of energies and in grey levels as they were prepared.

    Attributes
    ----------
    limit, width
        Evidence at which tissue and resin are equally likely, and over which that changes.
    variance
        Of empty resin, in a block.
    offset, contrast
        Grey level of resin less that of its surely empty parts, and of resin less tissue; 0: greys say nothing.
    """

    limit: float
    width: float
    variance: float
    offset: float
    contrast: float


NO_TISSUE = Resin(np.inf, 1.0, 0.0, 0.0, 0.0)
ALL_TISSUE = Resin(-np.inf, 1.0, 0.0, 0.0, 0.0)


# -- pixels to cells -----------------------------------------------------------------------------------------------------


def pool(plane: Floats, scales: Scales) -> Cells:
    """The cells of a plane ``(h, w)``; beyond its edge, and in a last cell that it only part fills, lie its edge pixels."""
    height, width = plane.shape
    margin = scales.margin_px
    rows, columns = (-(-n // CELL) for n in plane.shape)
    after = (rows * CELL - height + margin, columns * CELL - width + margin)
    padded = np.pad(plane, ((margin, after[0]), (margin, after[1])), mode="edge")
    pooled = np.empty((8, rows, columns), np.float32)
    smooth = np.empty((rows * CELL, columns * CELL), np.float32)
    for top in range(0, rows * CELL, STRIP):
        bottom = min(top + STRIP, rows * CELL)
        strip = padded[top : bottom + 2 * margin]
        _pool_strip(strip, scales, pooled[:, top // CELL : bottom // CELL], smooth[top:bottom])
    grey, square, dog, down, across, yy, xx, xy = pooled
    return Cells(grey, np.maximum(square - grey * grey, 0), dog, down, across, yy, xx, xy, smooth[:height, :width])


def _pool_strip(strip: Floats, scales: Scales, pooled: Floats, smooth: Floats) -> None:
    """Eight pooled values into `pooled`, the smoothed strip into `smooth`; `strip` has a margin on every side."""
    margin, size = scales.margin_px, smooth.shape
    inner = _centre(strip, size)
    _pooled_mean(inner, pooled[0])
    _pooled_mean(inner * inner, pooled[1])
    wider = _step(scales.texture_sigma)
    narrow = blur(_trimmed(strip, margin - radius(scales.texture_sigma) - radius(wider)), scales.texture_sigma)
    smooth[...] = _centre(narrow, size)
    difference = blur(narrow, wider)
    difference -= smooth
    difference *= difference
    _pooled_mean(difference, pooled[2])
    edges = blur(_trimmed(strip, margin - radius(scales.edge_sigma) - 1), scales.edge_sigma)
    dy = edges[2:, 1:-1] - edges[:-2, 1:-1]
    dx = edges[1:-1, 2:] - edges[1:-1, :-2]
    _pooled_mean(dy, pooled[3])
    _pooled_mean(dx, pooled[4])
    _pooled_mean(dy * dy, pooled[5])
    _pooled_mean(dx * dx, pooled[6])
    _pooled_mean(np.multiply(dy, dx, out=dy), pooled[7])


def blur(plane: Floats, sigma: float) -> Floats:
    """Gaussian, only where it sees no edge: smaller by its radius on every side."""
    return _along_columns(_along_rows(plane, taps(sigma)), taps(sigma))


@lru_cache
def taps(sigma: float) -> tuple[np.float32, ...]:
    """Half a Gaussian's taps, from the centre outwards."""
    half = np.exp(-0.5 * (np.arange(radius(sigma) + 1) / sigma) ** 2)
    half /= half[0] + 2 * half[1:].sum()
    return tuple(np.float32(tap) for tap in half)


def _along_rows(plane: Floats, half: Sequence[np.float32]) -> Floats:
    reach, length = len(half) - 1, plane.shape[1] - 2 * (len(half) - 1)
    out = plane[:, reach : reach + length] * half[0]
    pair = np.empty_like(out)
    for k in range(1, reach + 1):
        np.add(plane[:, reach - k : reach - k + length], plane[:, reach + k : reach + k + length], out=pair)
        pair *= half[k]
        out += pair
    return out


def _along_columns(plane: Floats, half: Sequence[np.float32]) -> Floats:
    reach, length = len(half) - 1, plane.shape[0] - 2 * (len(half) - 1)
    out = plane[reach : reach + length] * half[0]
    pair = np.empty_like(out)
    for k in range(1, reach + 1):
        np.add(plane[reach - k : reach - k + length], plane[reach + k : reach + k + length], out=pair)
        pair *= half[k]
        out += pair
    return out


def _pooled_mean(values: Floats, out: Floats) -> None:
    """Means over cells; rows first, which lie in one piece."""
    rows = values[0::CELL] + values[1::CELL]
    rows += values[2::CELL]
    rows += values[3::CELL]
    np.add(rows[:, 0::CELL], rows[:, 1::CELL], out=out)
    out += rows[:, 2::CELL]
    out += rows[:, 3::CELL]
    out *= np.float32(1 / CELL**2)


def _centre(values: Floats, size: tuple[int, ...]) -> Floats:
    return _trimmed(values, (values.shape[0] - size[0]) // 2)


def _trimmed(values: Floats, by: int) -> Floats:
    return values[by : values.shape[0] - by, by : values.shape[1] - by]


def radius(sigma: float) -> int:
    """Pixels that a Gaussian sees on each side."""
    return max(1, int(TRUNCATE * sigma + 0.5))


def _step(sigma: float) -> float:
    """What takes a Gaussian of `sigma` to one `RATIO` times wider."""
    return float(sigma * np.sqrt(RATIO**2 - 1))


def _box(side_px: float) -> float:
    """Standard deviation, in cells, of a box."""
    return float(side_px / np.sqrt(12) / CELL)


# -- cells to evidence ---------------------------------------------------------------------------------------------------


def evidence(cells: Cells, scales: Scales) -> tuple[Floats, Floats]:
    """How much there is to see around each cell: the mean of logarithms of energies; and how much of the window counts.

    Cells of one grey (a blank margin, a mask) do not count, and evidence is -inf where most of a window is blank.

    Logarithms, because a mean of energies is that of the strongest edge in the window, and reaches as far as the window
    does; a mean of logarithms is that of the typical cell. The structure tensor is that of gradients about their mean, for
    a ramp of shading or the flank of a charging shadow has a gradient but no texture; it is smoothed before it is judged.
    Of its energy counts the share that lies across the main direction: a knife mark or a curtain has energy along one
    direction only; noise and tissue have it along both. The tensor is one witness as the difference of Gaussians is: its
    energy and the share that lies across weigh half each.
    """
    textured = (cells.dog > FLOOR) & (cells.yy + cells.xx > FLOOR)
    parts = [(1.0, np.log(np.maximum(cells.dog, FLOOR)))] if "texture" in scales.terms else []
    if {"edges", "tensor"} & set(scales.terms):
        down, across = wide(cells.down, 1.0), wide(cells.across, 1.0)
        yy, xx, xy = (wide(product, 1.0) for product in (cells.yy, cells.xx, cells.xy))
        yy, xx, xy = yy - down * down, xx - across * across, xy - down * across
        total = np.maximum(yy + xx, FLOOR)
        if "edges" in scales.terms:
            parts.append((0.5, np.log(total)))
        if "tensor" in scales.terms:
            coherence = np.minimum(np.sqrt((yy - xx) ** 2 + 4 * xy * xy) / total, 1)
            parts.append((0.5, np.log(np.maximum(1 - coherence, np.float32(1e-3)))))
    mean = sum(np.float32(share) * part for share, part in parts) / np.float32(sum(share for share, _ in parts))
    weight = wide(textured.astype(np.float32), scales.fine)
    summed = wide(np.where(textured, mean, np.float32(0)), scales.fine)
    return np.where(weight > np.float32(0.5), summed / np.maximum(weight, ANY), np.float32(-np.inf)), weight


def _slopes(grey: Floats) -> tuple[Floats, Floats]:
    """What gradients between next but one pixels are on average, from greys on the lattice of cells."""
    if min(grey.shape) < 2:
        return np.zeros_like(grey), np.zeros_like(grey)
    return np.gradient(grey, CELL / 2, axis=0), np.gradient(grey, CELL / 2, axis=1)


def wide(values: Floats, sigma: float) -> Floats:
    """Gaussian on the lattice of cells; beyond its edge lie its edge cells."""
    return blur(np.pad(values, radius(sigma), mode="edge"), sigma)


@dataclass(frozen=True, slots=True, eq=False)
class _Around:
    """Resin around each cell: how much of it, and how grey it is."""

    amount: Floats
    grey: Floats


def _tissue(seen: Floats, resin: Resin) -> Floats:
    """Confidence of each cell by its evidence alone."""
    if np.isinf(resin.limit):
        return np.where(seen > resin.limit, np.float32(1), np.float32(0))
    steps = np.clip((seen - np.float32(resin.limit)) / np.float32(resin.width), -30, 30)
    tissue: Floats = 1 / (1 + np.exp(-steps))
    return tissue


def _around(grey: Floats, seen: Floats, tissue: Floats, scales: Scales) -> _Around:
    surely = np.where(np.isfinite(seen), np.maximum(1 - 2 * tissue, 0), np.float32(0))
    amount = wide(surely, scales.near)
    mean = wide(surely * grey, scales.near) / np.maximum(amount, ANY)
    return _Around(amount, np.asarray(mean, np.float32))


# -- a volume's measure --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """What is kept of a sampled window: arrays ``(rows, columns)`` of cells. `solid`: nothing around is blank."""

    seen: Floats
    solid: Array
    block: Floats
    growth: Floats
    grey: Floats


def measure(planes: Iterable[Floats], scales: Scales) -> Resin:
    """Where resin ends and tissue begins in a volume, from sampled planes of it, as prepared.

    Evidence from empty resin is that of noise: the lowest peak of its histogram, as narrow as averages over windows of
    noise are, and with hardly more variance in a window than in its cells (noise does not grow with the window, structure
    does). A lowest peak that is not like this is tissue, and so is all of the volume. Where the peak is resin, a cell is
    tissue when resin makes up less than half of the histogram at its evidence: the local false discovery rate against an
    empirical null (Efron 2004, doi:10.1198/016214504000000089).
    """
    windows = [_look(plane, scales) for plane in planes]
    seen, solid, block, growth = (
        np.concatenate([getattr(window, name).ravel() for window in windows])
        for name in ("seen", "solid", "block", "growth")
    )
    if np.count_nonzero(solid) < FEWEST:
        return ALL_TISSUE if np.isfinite(seen).any() else NO_TISSUE
    peak = _lowest_peak(seen[solid], _noise_spread(scales))
    if peak is None:
        return ALL_TISSUE
    core = solid & (np.abs(seen - peak.centre) < peak.spread)
    if peak.alone and "variance" in scales.terms and np.percentile(growth[core], 25) > GROWTH:
        return ALL_TISSUE
    variance = float(np.percentile(block[core], 10)) if "variance" in scales.terms else 0.0
    texture_only = Resin(peak.limit, SOFTNESS * peak.spread, variance, 0.0, 0.0)
    return _with_greys(texture_only, windows, scales, core)


def _look(plane: Floats, scales: Scales) -> _Window:
    cells = pool(plane, scales)
    seen, weight = evidence(cells, scales)
    return _Window(seen, weight > np.float32(0.999), wide(cells.variance, scales.block), _growth(cells), cells.grey)


def _growth(cells: Cells) -> Floats:
    """How much more variance there is in a window of `GROWTH_PX` than in its cells, but for what a ramp of grey adds."""
    window = _box(GROWTH_PX)
    inner, mean = wide(cells.variance, window), wide(cells.grey, window)
    whole = wide(cells.grey * cells.grey, window) - mean * mean + inner
    down, across = _slopes(mean)
    ramp = (down * down + across * across) * np.float32((window * CELL / 2) ** 2)
    return np.asarray(np.maximum(whole - ramp, 0) / np.maximum(inner, FLOOR), np.float32)


@dataclass(frozen=True, slots=True)
class _Peak:
    """The lowest peak of evidence.

    Its centre and its standard deviation; where what lies above it prevails; and whether no valley parts it from that.
    """

    centre: float
    spread: float
    limit: float
    alone: bool


def _lowest_peak(seen: Array, noise: float) -> _Peak | None:
    """The lowest peak that is sharp enough, or None; `noise` is the spread that pure noise has."""
    step = noise / 5
    low = float(seen.min()) - 5 * noise
    count = int(np.ceil((float(seen.max()) + 5 * noise - low) / step))
    histogram, borders = np.histogram(seen, count, (low, low + count * step))
    at = (borders[1:] + borders[:-1]) / 2
    density = ndimage.gaussian_filter1d(histogram / (len(seen) * step), noise / step)
    top = _first_top(density, noise / step)
    if top is None:
        return None
    centre = float(at[top])
    spread = float(np.clip(centre - np.quantile(seen, _below(seen, centre)), noise / 2, WIDEST * noise))
    shown = float(np.hypot(spread, noise))  # as wide as smoothing has made it
    height = min(float(density[top]), 1 / (np.sqrt(2 * np.pi) * shown))
    resin = height * np.exp(-0.5 * ((at - centre) / shown) ** 2)
    prevails = (at > centre) & (resin < 0.5 * density)
    limit = float(at[np.argmax(prevails)]) if prevails.any() else np.inf
    alone = not _ends_in_valley(density, top)
    return _Peak(centre, spread, float(np.clip(limit, centre + 1.5 * shown, centre + 4 * shown)), alone)


def _first_top(density: Array, noise: float) -> int | None:
    """The lowest top of a histogram that a valley ends, or that is sharp; `noise` in bins.

    A Gaussian of standard deviation s bends, at its top, by 1 / s² of its height; a shoulder of a higher peak does so too.
    """
    bend = -np.gradient(np.gradient(density)) * noise**2 / np.maximum(density, 1e-9)
    sharp = _tops(bend) & (bend > 1 / (1 + WIDEST**2))
    tops = np.flatnonzero((_tops(density) | sharp) & (density > LEAST * density.max()))
    return next((int(top) for top in tops if sharp[top] or _ends_in_valley(density, top)), None)


def _tops(values: Array) -> Array:
    """Where values are higher than their neighbours."""
    around = np.pad(values, 1, constant_values=np.inf)
    higher: Array = (values > around[:-2]) & (values >= around[2:])
    return higher


def _ends_in_valley(density: Array, top: int | np.signedinteger[Any]) -> bool:
    """Whether there is a valley between a top and a higher one, or a lower one that is higher than the valley."""
    after = density[top:]
    deepest = np.minimum.accumulate(after)
    return bool(np.any((deepest < VALLEY * after[0]) & (after > deepest / VALLEY) & (after > LEAST * density.max())))


def _below(seen: Array, centre: float) -> float:
    """The share of all that lies more than a standard deviation below a peak: 16 of the 50 percent to its left."""
    return float(np.mean(seen < centre)) * 0.3173


@lru_cache
def _noise_spread(scales: Scales) -> float:
    """Standard deviation of evidence where there is only noise, independent from pixel to pixel."""
    noise = np.random.default_rng(0).standard_normal((512, 512), np.float32)
    return float(evidence(pool(noise, scales), scales)[0].std())


def _with_greys(resin: Resin, windows: Sequence[_Window], scales: Scales, core: Array) -> Resin:
    """`resin` with the greys that tell it from tissue, measured on textured cells near it, of which some are resin."""
    shades, near = [], []
    for window in windows:
        tissue = _tissue(window.seen, resin)
        around = _around(window.grey, window.seen, tissue, scales)
        shades.append((around.grey - window.grey).ravel())
        near.append(((tissue > 0.9) & (around.amount > ENOUGH) & window.solid).ravel())
    shade, textured = np.concatenate(shades), np.concatenate(near)
    if np.count_nonzero(textured) < FEWEST:
        return resin
    like, unlike = sorted(_two_means(shade[textured]), key=abs)
    contrast = unlike - like
    towards = shade[textured] * np.sign(unlike)
    sided = np.count_nonzero(towards < -abs(unlike) / 2) < ONE_SIDED * np.count_nonzero(towards > abs(unlike) / 2)
    clear = sided and abs(contrast) > 3 * float(shade[core].std())
    return Resin(resin.limit, resin.width, resin.variance, like, contrast) if clear else resin


def _two_means(values: Array) -> tuple[float, float]:
    """Means of the two groups that Otsu's threshold makes (Otsu 1979)."""
    threshold = otsu(values)
    return float(values[values <= threshold].mean()), float(values[values > threshold].mean())


def otsu(values: Array) -> float:
    """The threshold between two groups that lie farthest apart; the values themselves where they are all the same."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return low
    histogram, borders = np.histogram(values, 256, (low, high))
    at = (borders[1:] + borders[:-1]) / 2
    below, above = np.cumsum(histogram)[:-1], np.cumsum(histogram[::-1])[-2::-1]
    sums = np.cumsum(histogram * at)
    apart = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    return float(borders[1 + int(np.argmax(apart))])


# -- confidence ----------------------------------------------------------------------------------------------------------


def confidence(plane: Floats, resin: Resin, scales: Scales) -> Floats:
    """How sure it is that a pixel of a plane ``(h, w)`` is tissue: whole 255ths in 0 … 1.

    Texture says so within a window. Near what is surely resin, a pixel must also be nearer in grey to tissue than to that
    resin. Nothing is tissue in a block whose variance is no more than that of resin.
    """
    cells = pool(plane, scales)
    seen, _ = evidence(cells, scales)
    tissue = _tissue(seen, resin)
    if resin.contrast:
        around = _around(cells.grey, seen, tissue, scales)
        present = np.minimum(around.amount / ENOUGH, 1)
        slope = 2 / resin.contrast
        shade = np.float32(1.5) - (around.grey - np.float32(resin.offset)) * np.float32(slope)
    if resin.variance:
        block = wide(cells.variance, scales.block)
        tissue *= np.clip((block / np.float32(resin.variance) - np.float32(1.02)) * 50, 0, 1)
    out = np.empty(plane.shape, np.float32)
    fields = (tissue, tissue * present, shade) if resin.contrast else (tissue,)
    columns = [_between_columns(field, plane.shape[1]) for field in fields]
    for top in range(0, plane.shape[0], STRIP):
        rows = slice(top, min(top + STRIP, plane.shape[0]))
        sure, *rest = (_between_rows(field, rows) for field in columns)
        if rest:
            near, like_resin = rest
            like_resin += cells.smooth[rows] * np.float32(slope)
            np.clip(like_resin, 0, 1, out=like_resin)
            like_resin *= near
            sure -= like_resin
        sure *= STEPS
        np.rint(sure, out=sure)
        np.divide(sure, STEPS, out=out[rows])
    return out


def _between_columns(field: Floats, width: int) -> Floats:
    """``(rows, columns)`` of cells to ``(rows + 2, width)``, linear between their centres, constant beyond the outermost."""
    padded = np.pad(field, 1, mode="edge")
    out = np.empty((padded.shape[0], field.shape[1] * CELL), np.float32)
    for phase in range(CELL):
        first, share = _neighbours(phase)
        stop = first + field.shape[1]
        out[:, phase::CELL] = padded[:, first:stop] * (1 - share) + padded[:, first + 1 : stop + 1] * share
    return out[:, :width]


def _between_rows(field: Floats, rows: slice) -> Floats:
    """Pixels of `rows`, which start at a cell, from what `_between_columns` made."""
    out = np.empty((rows.stop - rows.start, field.shape[1]), np.float32)
    for phase in range(min(CELL, len(out))):
        first, share = _neighbours(phase)
        part = out[phase::CELL]
        start = rows.start // CELL + first
        np.multiply(field[start : start + len(part)], 1 - share, out=part)
        part += field[start + 1 : start + 1 + len(part)] * share
    return out


def _neighbours(phase: int) -> tuple[int, np.float32]:
    """The cell before a pixel's centre (counted from one before its own), and how far it is towards the next."""
    place = (phase + 0.5) / CELL + 0.5
    return int(place), np.float32(place % 1)


# -- sampling ------------------------------------------------------------------------------------------------------------


def sampled(image: Image) -> Iterator[Array]:
    """Planes ``(h, w)`` of a small image, all of them; of a large one, windows on a regular grid."""
    for start in _starts(image.shape):
        window = np.asarray(image.data[(*start[:-2], *(slice(a, a + WINDOW) for a in start[-2:]))])
        if window.dtype.kind == "f" and not np.isfinite(window).all():
            raise FormatError(
                "the image holds NaN or infinite pixels; replace them, or mask and crop them away, before analysis"
            )
        yield window


def _starts(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    axes = [*(list(range(n)) for n in shape[:-2]), *(list(range(0, n, WINDOW)) for n in shape[-2:])]
    while np.prod([len(axis) for axis in axes]) > MOST_WINDOWS:
        longest = max(range(len(axes)), key=lambda i: len(axes[i]))
        axes[longest] = axes[longest][::2]
    return list(product(*axes))
