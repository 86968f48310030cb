"""An annotated folder to examples and back.

::

    images/NAME.tif          or .png, .jpg, .npy, .mrc, .h5, .zarr (a folder, taken as a file)
    points/NAME.csv          or .roi, .zip; or NAME_CLASS.csv, a table for each class
    labels/NAME.tif          or another of these; instead of points, or beside them
    masks/NAME.tif           optional: not 0 where the annotation is complete
    dataset.yaml             optional: pixel size, classes, specimens … (see `dataset_yaml`)

Nothing is left out in silence: an image without annotation, or an annotation without image, is a fault. What is not to
be used lies in other folders, e.g. ``unlabelled/``.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from graticule.errors import AnnotationError, DatasetError, FormatError, GraticuleError, SpacingError
from graticule.example import Example
from graticule.image import SPATIAL, Array, Image
from graticule.io import (
    POINT_WRITERS,
    READERS,
    dataset_yaml,
    describe,
    image_name,
    is_image,
    points_csv,
    read_points,
    tiff,
)
from graticule.io.address import Address
from graticule.io.dataset_yaml import Header
from graticule.io.naming import unknown
from graticule.io.scan import IN_MEMORY, Scan, renamed, to_image
from graticule.results import Labels, Points, Result

IGNORED = re.compile(r"\..*|Thumbs\.db|desktop\.ini|README.*|LICEN[CS]E.*", re.IGNORECASE)

AGREEMENT = 0.01
"""Pixel sizes in dataset.yaml and in a file that differ by more contradict one another."""

Truth = Literal["points", "labels"]


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Annotated images.

    Attributes
    ----------
    name
        From dataset.yaml, or the folder's.
    examples
        In the order of their names. All points share one table of classes, `classes`.
    classes
        Names, in the order they are numbered.
    diameters_nm
        By class, as far as dataset.yaml gives any.
    unannotated
        Classes that are in the images and were never marked, with their diameters in nm: finding one is no error.
    split
        The dataset's own division of its images, e.g. ``{"train": (…), "test": (…)}``; None: it has none.
    """

    name: str
    examples: tuple[Example, ...]
    classes: tuple[str, ...] = ()
    diameters_nm: Mapping[str, float] = field(default_factory=dict)
    unannotated: Mapping[str, float] = field(default_factory=dict)
    split: Mapping[str, tuple[str, ...]] | None = None


# -- reading -----------------------------------------------------------------------------------------------------------


def load(
    folder: str | Path,
    *,
    spacing_um: Sequence[float] | None = None,
    points_unit: str | None = None,
    channel: str | int | None = None,
    truth: Truth | None = None,
    without: Collection[str] = (),
) -> Dataset:
    """The annotated images in `folder`, or everything that is wrong with it, in one error.

    Parameters
    ----------
    folder
        The dataset.
    spacing_um
        Pixel size of all images, in place of what dataset.yaml and the files say.
    points_unit
        What bare ``x,y`` columns are in, in place of dataset.yaml's ``points_unit``.
    channel
        Which channel to read, in place of dataset.yaml's ``channel``.
    truth
        ``"points"`` or ``"labels"`` where a folder has both; None takes points where there are some.
    without
        Names of images whose files are not opened, nor those of their annotation.
    """
    dataset, wrong = _survey(Path(folder), Given(spacing_um, points_unit, channel, truth, tuple(without)))
    if dataset is not None and not wrong:
        return dataset
    if len(wrong) == 1:
        raise wrong[0]
    listed = "\n".join(f"  {i}. {error}" for i, error in enumerate(wrong, 1))
    raise DatasetError(f"{folder}: found {len(wrong)} faults; need none; mend them:\n{listed}")


def problems(
    folder: str | Path,
    *,
    spacing_um: Sequence[float] | None = None,
    points_unit: str | None = None,
    channel: str | int | None = None,
    truth: Truth | None = None,
) -> tuple[str, ...]:
    """Everything that keeps `folder` from being loaded, one sentence each; none if it can be."""
    _, wrong = _survey(Path(folder), Given(spacing_um, points_unit, channel, truth))
    return tuple(str(error) for error in wrong)


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """A folder as far as it can be read: what a search for the reasons of its faults needs.

    Attributes
    ----------
    dataset
        The examples without fault; None where there are no images.
    faults
        Everything that is wrong.
    images
        Every image that can be read, whatever is wrong with its annotation.
    tables
        By image the files with its points; by class, or None for one with all classes.
    """

    dataset: Dataset | None
    faults: tuple[GraticuleError, ...]
    images: Mapping[str, Image]
    tables: Mapping[str, Mapping[str | None, Path]]


def survey(
    folder: str | Path,
    *,
    spacing_um: Sequence[float] | None = None,
    points_unit: str | None = None,
    channel: str | int | None = None,
    truth: Truth | None = None,
) -> Survey:
    """What can be read of `folder`, read as `load` would, and everything that is wrong with it."""
    given = Given(spacing_um, points_unit, channel, truth)
    dataset, wrong = _survey(Path(folder), given)
    if dataset is None:
        return Survey(None, tuple(wrong), {}, {})
    images = {example.name: example.image for example in dataset.examples}
    files, (header, _) = _files(Path(folder), []), dataset_yaml.read(Path(folder))
    for name, path in files.images.items():
        if name not in images:
            with suppress(GraticuleError):
                images[name] = _image(name, path, header, given)
    return Survey(dataset, tuple(wrong), images, files.points)


@dataclass(frozen=True, slots=True)
class Given:
    """What the user says, which counts for more than what the dataset says."""

    spacing_um: Sequence[float] | None = None
    points_unit: str | None = None
    channel: str | int | None = None
    truth: Truth | None = None
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a dataset by the name of their image."""

    images: Mapping[str, Path]
    points: Mapping[str, Mapping[str | None, Path]]
    """By image, then by class; None for a file with all of them."""
    labels: Mapping[str, Path]
    masks: Mapping[str, Path]

    def truth(self, name: str, wanted: Truth | None) -> Truth | None:
        """What there is for an image, of what is wanted."""
        if wanted != "labels" and name in self.points:
            return "points"
        return "labels" if wanted != "points" and name in self.labels else None


def _survey(folder: Path, given: Given) -> tuple[Dataset | None, list[GraticuleError]]:
    """The dataset, as far as it can be made, and all that is wrong with it."""
    wrong: list[GraticuleError] = []
    try:
        files = _files(folder, wrong)
    except DatasetError as error:
        return None, [error]
    header, faults = dataset_yaml.read(folder)
    wrong += [*faults, *_membership(folder, header, files), *_unannotated(folder, files, given.truth)]
    used = [name for name in files.images if name not in given.without]
    if not used:
        wrong.append(DatasetError(f"{folder}: found no image but those left out ({_some(given.without)}); add others"))
    strangers = [name for name in given.without if name not in files.images]
    wrong += [DatasetError(f"{folder}: {unknown('to leave out', name, tuple(files.images))}") for name in strangers]
    examples, sizeless = [], {}
    for name in sorted(used, key=_natural):
        try:
            examples.append(_example(name, files, header, given))
        except SpacingError as error:
            sizeless[name] = error
        except GraticuleError as error:
            wrong.append(error)
    wrong += _without_size(folder, sizeless, len(used))
    classes = _outlined(header.classes, examples) or _classes(examples)
    shared = tuple(_sharing(example, classes) for example in examples)
    dataset = Dataset(header.name, shared, classes, header.diameters_nm, header.unannotated, header.split)
    return dataset, [*wrong, *_marked_after_all(folder, classes, header)]


def _outlined(classes: tuple[str, ...], examples: Sequence[Example]) -> tuple[str, ...]:
    """Of labels, number 0 is background: where classes begin with that word, the next one is number 1."""
    of_labels = any(isinstance(example.truth, Labels) for example in examples)
    return classes[1:] if of_labels and classes and classes[0].lower() == "background" else classes


def _natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    """Numbers in names count as numbers: S8 comes before S13, 6nm before 12nm."""
    return tuple((part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", name))


def _classes(examples: Sequence[Example]) -> tuple[str, ...]:
    found = {kind for e in examples if isinstance(e.truth, Points) for kind in e.truth.kinds if len(e.truth)}
    if found:
        return tuple(sorted(found, key=_natural))
    return ("object",) if any(isinstance(e.truth, Points) for e in examples) else ()


def _sharing(example: Example, classes: tuple[str, ...]) -> Example:
    """The example with the dataset's table of classes."""
    return replace(example, truth=example.truth.named(classes)) if isinstance(example.truth, Points) else example


# -- which files there are ---------------------------------------------------------------------------------------------


def _files(folder: Path, wrong: list[GraticuleError]) -> Files:
    if not (folder / "images").is_dir():
        found = "no folder images/ in it" if folder.is_dir() else "no such folder"
        raise DatasetError(f"{folder}: found {found}; need images/ and points/ or labels/; see the layout in the guide")
    images = _by_image(folder / "images", tuple(READERS), wrong)
    if not images:
        raise DatasetError(f"{folder}: found no image in images/; need at least one ({', '.join(READERS)})")
    labels = _by_image(folder / "labels", tuple(READERS), wrong)
    masks = _by_image(folder / "masks", tuple(READERS), wrong)
    points: dict[str, dict[str | None, Path]] = {}
    for stem, path in _by_image(folder / "points", tuple(POINT_WRITERS), wrong).items():
        name = _owner(stem, images)
        if name is None:
            wrong.append(_orphan(path, stem, images))
            continue
        points.setdefault(name, {})[stem[len(name) + 1 :] or None] = path
    for own in (labels, masks):
        wrong += [_orphan(own[name], name, images) for name in own if name not in images]
    return Files(images, points, labels, masks)


def _by_image(folder: Path, suffixes: Sequence[str], wrong: list[GraticuleError]) -> dict[str, Path]:
    """Files by their name without suffix."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if (path.is_dir() and not is_image(path)) or IGNORED.fullmatch(path.name):
            continue
        name = image_name(path)
        if Address.of(path).suffix not in suffixes:
            wrong.append(
                FormatError(f"{path}: found suffix {path.suffix!r}; need one of {', '.join(suffixes)}; move it")
            )
        elif name in found:
            wrong.append(DatasetError(f"{path}: found {found[name].name} beside it; need one file of a name; move one"))
        else:
            found[name] = path
    return found


def _owner(stem: str, images: Mapping[str, Path]) -> str | None:
    """The image that ``NAME`` or ``NAME_CLASS`` belongs to; the longest, as S1 and S1_b may both exist."""
    if stem in images:
        return stem
    return max((name for name in images if stem.startswith(f"{name}_")), key=len, default=None)


def _orphan(path: Path, name: str, images: Mapping[str, Path]) -> DatasetError:
    return DatasetError(f"{path}: {unknown('an annotation of image', name, tuple(images))}")


def _membership(folder: Path, header: Header, files: Files) -> list[DatasetError]:
    """Names of images in dataset.yaml are those of images that there are."""
    wrong = []
    path = folder / dataset_yaml.FILE
    lists = {f"group {group}": names for group, names in header.groups.items()}
    lists |= {f"split {part}": names for part, names in (header.split or {}).items()}
    lists |= {"pixel_size_um_by_image": tuple(header.pixel_size_um_by_image)}
    for where, names in lists.items():
        for name in names:
            if name not in files.images:
                hint = "; quote names that are numbers, e.g. '01'" if name.isdecimal() else ""
                wrong.append(
                    DatasetError(f"{path}: {unknown(f'in {where} the image', name, tuple(files.images))}{hint}")
                )
    grouped = {name for names in header.groups.values() for name in names}
    ungrouped = [name for name in files.images if name not in grouped]
    if header.groups and ungrouped:
        wrong.append(
            DatasetError(
                f"{path}: found {_some(ungrouped)} in no group; need every image in the group of its specimen, lest "
                "training sees what it is tested on; add it to groups"
            )
        )
    return wrong


def _unannotated(folder: Path, files: Files, truth: Truth | None) -> list[DatasetError]:
    bare = [name for name in files.images if files.truth(name, truth) is None]
    if not bare:
        return []
    where = f"{truth}/" if truth else "points/ or labels/"
    if any(files.truth(name, truth) == "labels" for name in files.images):
        empty = f"an image of the same size that is 0 everywhere as labels/{bare[0]}.tif"
    else:
        empty = (
            f"a table with the single line x_um,y_um,class (of volumes x_um,y_um,z_um,class) as points/{bare[0]}.csv"
        )
    return [
        DatasetError(
            f"{folder}: found {len(bare)} of {len(files.images)} images without annotation in {where} ({_some(bare)}); "
            f"need one for each; move them to unlabelled/, or, where there is nothing to mark, add {empty}"
        )
    ]


def _some(names: Sequence[str]) -> str:
    shown = sorted(names, key=_natural)[:20]
    return ", ".join(shown) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


# -- one example -------------------------------------------------------------------------------------------------------


def _example(name: str, files: Files, header: Header, given: Given) -> Example:
    image = _image(name, files.images[name], header, given)
    truth: Result | None = None
    match files.truth(name, given.truth):
        case "points":
            truth = _points(name, image, files, header, given.points_unit or header.points_unit)
        case "labels":
            truth = _labels(files.labels[name], image)
        case None:
            # That it is missing is said once for all images; the rest of the example is still looked at.
            truth = Points.none(image.ndim)
    complete = _mask(files.masks[name], image) if name in files.masks else None
    return Example(name, image, truth, complete, _specimen(name, header))


def _specimen(name: str, header: Header) -> str:
    return next((group for group, names in header.groups.items() if name in names), name)


def _image(name: str, path: Path, header: Header, given: Given) -> Image:
    scan = _meant(describe(path), header.axes, path)
    chosen = given.channel if given.channel is not None else header.channel
    spacing = given.spacing_um if given.spacing_um is not None else _said(name, header, scan, path)
    return to_image(scan, path, spacing_um=spacing, channel=chosen)


def _meant(scan: Scan, axes: str, path: Path) -> Scan:
    """The file read by dataset.yaml's axes, where it says nothing itself; they may not contradict one another."""
    if not axes:
        return scan
    if any(axis not in "czyxst" for axis in scan.axes) and len(scan.axes) == len(axes):
        return renamed(scan, axes, path)
    spatial, said = ({axis for axis in one if axis in SPATIAL} for one in (scan.axes, axes))
    if spatial != said:
        shape = " × ".join(map(str, scan.data.shape))
        raise DatasetError(
            f"{path}: found axes {scan.axes} ({shape}), but dataset.yaml says {axes}; need them to agree; correct axes"
        )
    return scan


def _said(name: str, header: Header, scan: Scan, path: Path) -> tuple[float, ...] | None:
    """The pixel size by dataset.yaml; None where only the file may know."""
    said = header.pixel_size_um_by_image.get(name, header.pixel_size_um)
    if said is None or scan.spacing_um is None:
        return said
    own = [axis for axis in scan.axes if axis in SPATIAL]
    found = tuple(scan.spacing_um[own.index(axis)] for axis in SPATIAL if axis in own)
    meant = said * len(found) if len(said) == 1 else said
    if len(meant) == len(found) and not np.allclose(meant, found, rtol=AGREEMENT, atol=0):
        raise DatasetError(
            f"{path}: found a pixel size of {_sizes(found)} µm in the file ({scan.notes[0]}), but dataset.yaml says "
            f"{_sizes(meant)} µm; need them to agree within 1 %; correct one, or pass --spacing-um"
        )
    return said


def _sizes(numbers: Sequence[float]) -> str:
    return " × ".join(f"{number:.6g}" for number in numbers)


def _without_size(folder: Path, sizeless: Mapping[str, SpacingError], total: int) -> list[GraticuleError]:
    """One sentence for all images that lack a pixel size, as they mostly do together."""
    if len(sizeless) <= 1:
        return list(sizeless.values())
    return [
        SpacingError(
            f"{folder}: found {len(sizeless)} of {total} images without a usable pixel size ({_some(list(sizeless))}); "
            f"need it in µm; pass --spacing-um, or write pixel_size_um into dataset.yaml. The first: "
            f"{next(iter(sizeless.values()))}"
        )
    ]


def _points(name: str, image: Image, files: Files, header: Header, unit: str | None) -> Points:
    found = files.points[name]
    if len(found) > 1 and None in found:
        names = ", ".join(path.name for path in found.values())
        raise AnnotationError(
            f"{found[None]}: found {names}; need one table for all classes or one each; move the rest"
        )
    if None in found:
        only = header.classes[0] if len(header.classes) == 1 else None
        return _read_points(found[None], image, unit, None, header.classes or None, only)
    tables = [kind for kind in found if kind is not None]
    everywhere = header.classes or _tabled(files)
    missing = [kind for kind in everywhere if kind not in tables]
    path = found[tables[0]]
    if missing:
        raise AnnotationError(
            f"{path}: found no table of {', '.join(missing)} for image {name}; need one per class; add "
            f"{name}_{missing[0]}{path.suffix}, or only its column names if there are none"
        )
    parts = [_read_points(found[kind], image, unit, kind, everywhere, None) for kind in tables]
    return _joined(parts, everywhere)


def _read_points(
    path: Path, image: Image, unit: str | None, kind: str | None, kinds: Sequence[str] | None, default: str | None
) -> Points:
    """`kind` is the class by the file's name, `default` that of rows that name none."""
    if kind is not None and kinds is not None and kind not in kinds:
        raise AnnotationError(f"{path}: {unknown('class', kind, kinds)}")
    # A default is no more than that in a table, but would overrule the names of ImageJ's selections.
    meant = kind or default if path.suffix.lower() == ".csv" else kind
    return read_points(path, image, unit=unit, kind=meant, kinds=kinds)


def _tabled(files: Files) -> tuple[str, ...]:
    """All classes that have a table of their own anywhere."""
    kinds = {kind for tables in files.points.values() for kind in tables if kind is not None}
    return tuple(sorted(kinds, key=_natural))


def _joined(parts: Sequence[Points], kinds: Sequence[str]) -> Points:
    sizes = [part.diameter_um for part in parts if part.diameter_um is not None]
    return Points(
        np.concatenate([part.position_um for part in parts]),
        np.concatenate([part.confidence for part in parts]),
        np.concatenate([part.kind for part in parts]),
        tuple(kinds),
        np.concatenate(sizes) if len(sizes) == len(parts) else None,
    )


def _marked_after_all(folder: Path, classes: Sequence[str], header: Header) -> list[DatasetError]:
    both = [] if header.classes else sorted(set(classes) & set(header.unannotated))
    if not both:
        return []
    return [
        DatasetError(
            f"{folder}: found points of class {', '.join(both)}, which dataset.yaml calls unannotated; need either; "
            "remove it from unannotated, or the points"
        )
    ]


def _labels(path: Path, image: Image) -> Labels:
    labels = _aligned(path, image, "labels")
    if labels.data.dtype.kind not in "iub":
        raise AnnotationError(
            f"{path}: found values of type {labels.data.dtype}; need whole numbers, 0 for background; convert them"
        )
    return Labels(labels)


def _mask(path: Path, image: Image) -> Image:
    mask = _aligned(path, image, "a mask")
    if np.prod(mask.data.shape) * mask.data.dtype.itemsize <= IN_MEMORY:
        values = _distinct(np.asarray(mask.data[...]))
        if len(values) > 2 or (len(values) == 2 and values[0] != 0):
            raise AnnotationError(
                f"{path}: found {len(values)} different values; need two, 0 where the annotation is not complete and "
                "1 or 255 where it is; threshold it"
            )
        if not values.any():
            raise AnnotationError(
                f"{path}: found 0 everywhere; need some place where the annotation is complete; mend it"
            )
    return mask


def _distinct(values: Array) -> Array:
    """Sorted; counting is much faster than sorting for the usual 8 bits."""
    return np.flatnonzero(np.bincount(values.ravel())) if values.dtype == np.uint8 else np.unique(values)


def _aligned(path: Path, image: Image, what: str) -> Image:
    """Voxels of `path` on the grid of `image`; what they are called is the image's business."""
    scan = describe(path)
    spatial = "".join(axis for axis in image.axes if axis in SPATIAL)
    if len(scan.axes) == len(spatial) and scan.axes != spatial and not {"c", "s"} & set(scan.axes):
        scan = renamed(scan, spatial, path)
    drawn = to_image(scan, path, spacing_um=(1.0,))
    if drawn.shape != image.shape:
        found, needed = (" × ".join(map(str, shape)) for shape in (drawn.shape, image.shape))
        turned = sorted(drawn.shape) == sorted(image.shape)
        todo = (
            f"its axes seem to be swapped: save it in the order {', '.join(spatial)}" if turned else "redraw it on it"
        )
        raise AnnotationError(f"{path}: found {what} of {found} pixels; need {needed}, as the image has; {todo}")
    return replace(drawn, spacing_um=image.spacing_um, origin_um=image.origin_um)


# -- writing -----------------------------------------------------------------------------------------------------------


def write(
    folder: str | Path,
    examples: Sequence[Example],
    *,
    name: str | None = None,
    classes: Sequence[str] = (),
    diameters_nm: Mapping[str, float] | None = None,
    unannotated: Mapping[str, float] | None = None,
    split: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """A new dataset with `examples`, as `load` reads it; `folder` appears when all of it is written."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"{folder}: found something there already; need a new or empty folder; choose another")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        aside.chmod(0o777 & ~0o022)
        for example in examples:
            _write_example(_at_zero(example), aside, tuple(classes) or _classes(examples))
        parts = None if split is None else {part: tuple(names) for part, names in split.items()}
        header = Header(
            name or folder.name,
            classes=tuple(classes) or _classes(examples),
            diameters_nm=dict(diameters_nm or {}),
            unannotated=dict(unannotated or {}),
            groups=_groups(examples),
            split=parts,
            channel="all" if any("c" in example.image.axes for example in examples) else None,
        )
        dataset_yaml.write(_with_sizes(header, examples), aside)
        if folder.exists():
            folder.rmdir()
        os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_example(example: Example, folder: Path, classes: tuple[str, ...]) -> None:
    if not re.fullmatch(r"[^/\\:*?\"<>|.][^/\\:*?\"<>|]*", example.name):
        raise DatasetError(f"{folder}: found the image name {example.name!r}; need one that can be a file's; rename it")
    tiff.write(example.image, folder / "images" / f"{example.name}.tif")
    match example.truth:
        case Points():
            points_csv.write(example.truth.named(classes), folder / "points" / f"{example.name}.csv", example.image)
        case Labels():
            tiff.write(example.truth.image, folder / "labels" / f"{example.name}.tif")
    if example.complete is not None:
        mask = replace(example.complete, data=(np.asarray(example.complete.data[...]) != 0).astype(np.uint8))
        tiff.write(mask, folder / "masks" / f"{example.name}.tif")


def _at_zero(example: Example) -> Example:
    """A file has no place for a crop's origin, so the crop is written as an image of its own."""
    origin = example.image.origin_um
    if not any(origin):
        return example
    image = replace(example.image, origin_um=(0.0,) * example.image.ndim)
    truth: Result = example.truth
    if isinstance(truth, Points):
        truth = replace(truth, position_um=truth.position_um - origin)
    return replace(example, image=image, truth=truth)


def _groups(examples: Sequence[Example]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, tuple[str, ...]] = {}
    for example in examples:
        groups[example.specimen] = (*groups.get(example.specimen, ()), example.name)
    return groups


def _with_sizes(header: Header, examples: Sequence[Example]) -> Header:
    """The files carry the pixel size, too; here people see it, to the last digit."""
    sizes = {example.name: tuple(float(s) for s in example.image.spacing_um) for example in examples}
    if len(set(sizes.values())) == 1:
        return replace(header, pixel_size_um=next(iter(sizes.values())))
    return replace(header, pixel_size_um_by_image=sizes)
