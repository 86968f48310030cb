"""What users ask for: an image, or many, to be looked at; a model to be learnt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from graticule.errors import GraticuleError

Lane = Literal["predict", "train"]
"""Where an order is dealt with: hours of training keep nobody from predicting."""

LANES: tuple[Lane, ...] = ("predict", "train")


class JobError(GraticuleError):
    """A job that is not known, cannot be taken, or cannot be treated so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAs:
    """How an image is to be read, in place of what it says; see `graticule.io.read`."""

    spacing_um: tuple[float, ...] | None = None
    channel: str | None = None
    axes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictOrder:
    """Find what a model was made for, in some images.

    Attributes
    ----------
    images
        Absolute paths.
    reading
        For each image, or one for all.
    models
        Model files, averaged if several; or one method that needs no training, by its name.
    thresholds, settings, mask, mask_margin_nm, tta, seed
        As for ``graticule predict``; settings are ``name=value``.
    """

    images: tuple[Path, ...]
    models: tuple[str, ...]
    reading: tuple[ReadAs, ...] = (ReadAs(),)
    thresholds: tuple[float, ...] = ()
    settings: tuple[str, ...] = ()
    mask: Path | None = None
    mask_margin_nm: float = 0.0
    tta: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.images or not self.models:
            raise JobError("found no image or no model in the order; need one of each at least; choose them")
        if len(self.reading) not in (1, len(self.images)):
            raise JobError(
                f"found {len(self.reading)} pixel sizes for {len(self.images)} images; need one, or one for each; say them"
            )

    def reading_of(self, place: int) -> ReadAs:
        """Of the image at that place."""
        return self.reading[0] if len(self.reading) == 1 else self.reading[place]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOrder:
    """Learn from a dataset.

    Attributes
    ----------
    task, preset, settings
        As for ``graticule train``; settings by name.
    dataset
        The folder.
    start
        A model file to begin with.
    name
        What the model shall be called, without its suffix.
    """

    task: str
    dataset: Path
    name: str
    preset: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    start: Path | None = None
    spacing_um: tuple[float, ...] | None = None
    channel: str | None = None


Order = PredictOrder | TrainOrder


def lane_of(order: Order) -> Lane:
    """Where an order is dealt with."""
    return "predict" if isinstance(order, PredictOrder) else "train"


def to_plain(order: Order) -> dict[str, Any]:
    """For a file."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(order), default=str))
    return plain


def from_plain(lane: Lane, plain: Mapping[str, Any]) -> Order:
    """The inverse of `to_plain`."""
    values = _with_tuples(plain)
    for name in ("mask", "start", "dataset"):
        if values.get(name) is not None:
            values[name] = Path(values[name])
    if lane == "train":
        return TrainOrder(**values)
    values["images"] = tuple(Path(path) for path in values["images"])
    values["reading"] = tuple(ReadAs(**_with_tuples(one)) for one in values["reading"])
    return PredictOrder(**values)


def _with_tuples(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
