"""Tissue against resin in electron micrographs, label-free: by texture.

A baseline and a first look where nothing is annotated yet, in planes and in stacks of any size (every plane by itself).
How it decides is told in `arrays/texture.py`. What looks like tissue is tissue here: trachea, dirt and a tear's edge
count where they are textured, which takes a trained `tissue` model to tell apart.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from graticule.arrays import texture
from graticule.arrays.intensity import levels
from graticule.arrays.regions import tidy
from graticule.errors import FormatError
from graticule.image import SPATIAL, Array, Floats, Image
from graticule.task import Forward, Grid, Weights
from graticule.tasks.masking import Masking, by_plane, grid, prepared_planes


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueTexture(Masking):
    """Settings for telling tissue from resin by texture.

    Attributes
    ----------
    block_size
        Pixels along the side of the windows in which texture is judged; fine texture in windows of a third of it.
        Smaller: finer outlines, narrower gaps, more noise.
    texture_sigma
        Pixels, of the narrower Gaussian of the difference of Gaussians. Raise it where noise passes for tissue.
    edge_sigma
        Pixels, of the Gaussian before gradients are taken. Lower it where thin tissue is missed.
    terms
        Which evidence counts, of texture, variance, tensor and edges: all, but to see what one of them is good for.
    min_region_size
        Regions of fewer voxels are dropped.
    max_hole_size
        Background of up to so many voxels is filled where tissue surrounds it: vacuoles, vessels and pale parts of a
        cell. By default what one block of 64 x 64 pixels holds.
    threshold
        Confidence from which a voxel is tissue.
    """

    name: ClassVar[str] = "tissue-texture"
    objective: ClassVar[str] = "dice"
    methods: ClassVar[str] = (
        "a label-free analysis of local texture, plane by plane (differences of Gaussians, local variance, coherence of the "
        "structure tensor, edges), with thresholds measured on the image itself (Otsu 1979, doi:10.1109/TSMC.1979.4310076)"
    )

    block_size: int = 64
    texture_sigma: float = 1.0
    edge_sigma: float = 0.5
    terms: tuple[str, ...] = texture.TERMS

    def __post_init__(self) -> None:
        Masking.__post_init__(self)
        _ = self.scales  # refuses what cannot be

    @property
    def scales(self) -> texture.Scales:
        return texture.Scales(self.block_size, self.texture_sigma, self.edge_sigma, self.terms)

    @property
    def grid(self) -> Grid:
        return grid(self.scales.reach_px, texture.CELL)

    def measure(self, image: Image) -> Weights:
        """Where the texture of resin ends and how grey resin is: see `arrays.texture.Resin`."""
        resin = texture.measure(prepared_planes(self, image, texture.sampled(image)), self.scales)
        return {name: np.array(value, np.float64) for name, value in asdict(resin).items()}

    def forward(self, weights: Weights, device: str) -> Forward:
        resin = texture.Resin(**{name: float(value) for name, value in weights.items()})
        scales = self.scales
        return by_plane(lambda plane: texture.confidence(plane, resin, scales))


def em_texture_masking(
    volume: Array | Image,
    block_size: int = 64,
    texture_sigma: float = 1.0,
    edge_sigma: float = 0.5,
    min_region_size: int = 250,
) -> tuple[Array, Floats]:
    """Tissue against empty resin in an electron micrograph or a stack of them, without training.

    Parameters
    ----------
    volume
        Grey levels ``(y, x)`` or ``(z, y, x)``, of any type and range, all finite; planes are judged one by one, by
        one measure. Held in memory; `graticule predict --model tissue-texture` does the same to volumes of any size.
    block_size, texture_sigma, edge_sigma
        Pixels; see `TissueTexture`.
    min_region_size
        Regions of fewer voxels are dropped from the mask, and holes of up to ``block_size ** 2`` voxels filled.

    Returns
    -------
    mask
        uint8, 1 in tissue, shaped like `volume`.
    confidence
        float32 in 0 … 1, whole 255ths, before regions are dropped and holes filled.

    Examples
    --------
    >>> import numpy as np
    >>> mask, confidence = em_texture_masking(np.full((40, 50), 7, np.uint8))
    >>> mask.shape, int(mask.sum()), float(confidence.max())
    ((40, 50), 0, 0.0)
    """
    image = volume if isinstance(volume, Image) else _as_image(np.asarray(volume))
    if len(image.axes) != image.ndim:
        raise FormatError(f"found several channels (axes {image.axes!r}); texture is judged in one; choose it")
    task = TissueTexture(
        block_size=block_size,
        texture_sigma=texture_sigma,
        edge_sigma=edge_sigma,
        min_region_size=min_region_size,
        max_hole_size=block_size**2,
    )
    resin = texture.Resin(**{name: float(value) for name, value in task.measure(image).items()})
    grey = levels(image)
    confidence, labels = np.empty(image.shape, np.float32), np.empty(image.shape, np.uint8)
    for index in np.ndindex(image.shape[:-2]):  # a plane at a time stays in the processor's cache
        plane = task.prepare(np.asarray(image.data[index]), grey)[0]
        confidence[index] = texture.confidence(plane, resin, task.scales)
        maps = Image(confidence[index][None], "cyx", image.spacing_um[-2:])
        labels[index] = np.asarray(task.decode(maps).image.data)
    return tidy(labels, task.regions, image.spacing_um), confidence


def _as_image(volume: Array) -> Image:
    if volume.ndim not in (2, 3) or not volume.size:
        raise FormatError(f"found an array of shape {volume.shape}; need one plane (y, x) or a stack (z, y, x)")
    return Image(volume, SPATIAL[-volume.ndim :], (1.0,) * volume.ndim)
