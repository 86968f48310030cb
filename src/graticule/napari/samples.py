"""Simulated images with their exact truth, in napari's menu of samples."""

from __future__ import annotations

from typing import Any

from graticule.napari.layers import LayerData, image_layers, labels_layer, points_layer
from graticule.results import Points
from graticule.simulate import BeadScenes, ParticleScenes, RosetteScenes, SpotScenes, TissueScenes


def beads() -> list[LayerData]:
    """Gold beads of two sizes on a replica."""
    return _layers(BeadScenes(shape_px=(1024, 1024)))


def particles() -> list[LayerData]:
    """Particles of known shape in a volume, labelled in part."""
    return _layers(ParticleScenes())


def rosettes() -> list[LayerData]:
    """An epithelium as a microscope shows it, with its rosettes outlined."""
    return _layers(RosetteScenes(show="membranes"))


def spots() -> list[LayerData]:
    """Spots of any kind."""
    return _layers(SpotScenes())


def tissue() -> list[LayerData]:
    """Tissue in resin, and a mask of it."""
    return _layers(TissueScenes())


def _layers(scenes: Any) -> list[LayerData]:
    example = scenes.draw(0)
    sizes = {name: nm * 1e-3 for name, nm in getattr(scenes, "diameters_nm", ())}
    truth = (
        points_layer(example.truth, example.image, "truth", sizes)
        if isinstance(example.truth, Points)
        else labels_layer(example.truth, "truth")
    )
    return [*image_layers(example.image, example.name), truth]
