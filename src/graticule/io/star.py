"""Points as RELION's STAR tables, and those of the many pickers that write them.

RELION counts particles in pixels of the micrograph; "the origin is the first element in the 2D array of an MRC file"
(RELION's documentation, Reference/Conventions), and coordinate 7 means element 7, the middle of the box that is cut out
(``Preprocessing::extractParticlesFromOneFrame``). That is how we count, from 0 at the centre of the first pixel, so
nothing is shifted here. RELION turns TIFFs upside down when it reads them, MRC files not: give it MRC.

The particles come first in the file, because RELION takes the first block for coordinates, and finds the optics (RELION
3.1 and later) by their name. What the classes are called is in a block of ours at the end, which RELION passes over. A
table has no place for diameters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from graticule.errors import AnnotationError, FormatError
from graticule.image import Array, Image
from graticule.io.atomic import replacing
from graticule.io.naming import unknown
from graticule.io.placing import listed, on_image
from graticule.io.scan import check_is_file, reading
from graticule.results import Points

X, Y, Z = PLACES = ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")
CLASS, MERIT, MICROGRAPH = "rlnClassNumber", "rlnAutopickFigureOfMerit", "rlnMicrographName"
MICROGRAPH_PIXEL, PARTICLE_PIXEL = "rlnMicrographPixelSize", "rlnImagePixelSize"
CLASSES, CLASS_NAME = "graticule_classes", "graticuleClassName"
ANGSTROM = 1e-4  # µm
NONE = -999  # what RELION writes for a class, an angle or a merit that there is none of
HEADING = "# version 30001\n\n"
"""By this RELION knows the layout of version 3.1, with optics in a block of their own."""

TOLERANCE = 0.01
"""Pixel sizes that differ by more than this share contradict each other."""


def write(
    points: Points, path: str | Path, image: Image, *, micrograph: str = "", numbers: Sequence[int] | None = None
) -> None:
    """One row per point, in the points' order; `image` is what the pixels are counted on.

    `micrograph` is the image's name for RELION, else that of the table; `numbers` become ``rlnParticleId``, else 1, 2 ….
    Pixel sizes are written where one number says them: y and x alike, and in a volume z as well.
    """
    path = Path(path)
    blocks = {
        "particles": _particles(points, image, micrograph or path.stem, numbers),
        "optics": _optics(image),
        CLASSES: _classes(points.kinds),
    }
    text = _text(blocks)
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def _particles(points: Points, image: Image, micrograph: str, numbers: Sequence[int] | None) -> dict[str, Any]:
    voxels = image.to_voxels(points.position_um)
    places = {name: voxels[:, -1 - axis] for axis, name in enumerate(PLACES[: image.ndim])}
    return {
        **places,  # first: a row that begins with a name like data_1 or _a would be read as something else than a row
        MICROGRAPH: [_plain(micrograph)] * len(points),
        CLASS: points.kind.astype(int) + 1,
        MERIT: points.confidence.astype(float),
        "rlnParticleId": np.arange(1, len(points) + 1) if numbers is None else np.asarray(numbers, int),
        "rlnOpticsGroup": np.ones(len(points), int),
    }


def _optics(image: Image) -> dict[str, Any]:
    optics: dict[str, Any] = {"rlnOpticsGroup": [1], "rlnOpticsGroupName": ["opticsGroup1"]}
    if np.ptp(image.spacing_um) <= 1e-6 * image.spacing_um[0]:
        angstrom = image.spacing_um[0] / ANGSTROM
        optics |= {MICROGRAPH_PIXEL: [angstrom], PARTICLE_PIXEL: [angstrom]}
    return optics


def _classes(kinds: Sequence[str]) -> dict[str, Any]:
    return {CLASS: np.arange(1, len(kinds) + 1), CLASS_NAME: [_plain(kind) for kind in kinds]}


def _plain(name: str) -> str:
    """STAR has no way to write these inside a word."""
    return re.sub(r"[\"'#\t\r\n]", "_", name)


def _text(blocks: Mapping[str, Mapping[str, Any]]) -> str:
    pandas, starfile = _libraries()
    frames = {name: pandas.DataFrame(dict(columns)) for name, columns in blocks.items()}
    # Its first line is the time of writing: the same points shall give the same file.
    _, _, written = starfile.to_string(frames, float_format="%.6f").partition("\n")
    return HEADING + str(written).lstrip("\n")


def read(path: str | Path, image: Image, *, kind: str | None = None, kinds: Sequence[str] | None = None) -> Points:
    """Points on `image`, in micrometres; confidence is the figure of merit where that lies in 0 … 1, else 1.

    Parameters
    ----------
    path
        A STAR file with a block that has ``rlnCoordinateX`` and ``rlnCoordinateY`` (and ``rlnCoordinateZ`` for a stack). Of
        one that tells of several micrographs those particles are read whose micrograph has the file's own name, but for
        folders and endings.
    image
        What the points lie on. `AnnotationError` if the file tells another size of its micrograph's pixels.
    kind
        The class of all points in a file that tells no class by name or number.
    kinds
        The classes there can be; class numbers count them from 1 where the file does not name them.
    """
    path = Path(path)
    check_is_file(path)
    with reading(path, "STAR table"):
        blocks = _blocks(path)
        table = _of_one_micrograph(_table(blocks, path, image.ndim), path)
        voxels = _columns(table, [*PLACES[: image.ndim]][::-1], path)
        numbers = _numbers(table, path)
        confidence = _confidence(table, path)
    _check_pixel_size(blocks, image, path)
    rows = [f"particle {row + 1}" for row in range(len(voxels))]
    names, index = _named(numbers, len(voxels), _own_names(blocks), kind, kinds, path)
    return Points(on_image(voxels, image, "px", path, rows), confidence, index, names)


def _blocks(path: Path) -> dict[str, dict[str, list[Any]]]:
    """Columns by block; a block that holds single values is a table of one row."""
    pandas, starfile = _libraries()
    found = starfile.read(path, always_dict=True, parse_as_string=[CLASS_NAME, MICROGRAPH])
    return {
        name: {str(key): block[key].tolist() if isinstance(block, pandas.DataFrame) else [block[key]] for key in block}
        for name, block in found.items()
        if block is not None
    }


def _table(blocks: Mapping[str, dict[str, list[Any]]], path: Path, ndim: int) -> dict[str, list[Any]]:
    table = next((block for block in blocks.values() if X in block and Y in block), None)
    if table is None:
        raise AnnotationError(f"{path}: found no block with {X} and {Y}; need RELION's coordinates; export them again")
    if ndim == 3 and Z not in table:
        raise AnnotationError(f"{path}: found no {Z}, for a stack; need the plane of each point; export them again")
    if ndim == 2 and any(table.get(Z, ())):
        raise AnnotationError(f"{path}: found {Z}, but the image is a plane; need points of that image; give the stack")
    return table


def _of_one_micrograph(table: dict[str, list[Any]], path: Path) -> dict[str, list[Any]]:
    """The rows of the micrograph that the file is named after, if there are several."""
    names = [str(name) for name in table.get(MICROGRAPH, ())]
    if len(set(names)) < 2:
        return table
    own = [row for row, name in enumerate(names) if PurePosixPath(name).stem == path.stem]
    if not own:
        some = ", ".join(list(dict.fromkeys(names))[:3])
        raise AnnotationError(
            f"{path}: found particles of {len(set(names))} micrographs ({some} …), none of them {path.stem}; need those of "
            "one image in a file of its name; name the file after its micrograph, or split it"
        )
    return {key: [cells[row] for row in own] for key, cells in table.items()}


def _columns(table: Mapping[str, list[Any]], names: Sequence[str], path: Path) -> Array:
    columns = [_finite(table[name], name, path) for name in names]
    return np.stack(columns, axis=1).reshape(-1, len(names))


def _finite(cells: Sequence[Any], name: str, path: Path) -> Array:
    for row, cell in enumerate(cells, start=1):
        if isinstance(cell, str) or not np.isfinite(cell):
            raise AnnotationError(f"{path}, particle {row}: found {cell!r} for {name}; need a number; mend that row")
    return np.array(cells, float)


def _numbers(table: Mapping[str, list[Any]], path: Path) -> Array | None:
    if CLASS not in table:
        return None
    numbers = _finite(table[CLASS], CLASS, path)
    if len(numbers) and (numbers == NONE).all():
        return None
    wrong = np.flatnonzero((numbers != np.floor(numbers)) | (numbers < 0))
    if len(wrong):
        raise AnnotationError(
            f"{path}, particle {wrong[0] + 1}: found {CLASS} {numbers[wrong[0]]:g}; need a whole number from 0; mend that row"
        )
    return numbers.astype(int)


def _confidence(table: Mapping[str, list[Any]], path: Path) -> Array:
    """Other pickers write merits of any scale (RELION itself −999 for none): these are no confidences."""
    count = len(table[X])
    if MERIT not in table:
        return np.ones(count)
    merit = _finite(table[MERIT], MERIT, path)
    return merit if ((merit >= 0) & (merit <= 1)).all() else np.ones(count)


def _check_pixel_size(blocks: Mapping[str, dict[str, list[Any]]], image: Image, path: Path) -> None:
    told = [size for block in blocks.values() for size in block.get(MICROGRAPH_PIXEL, ())]
    for size in told:
        own = image.spacing_um[-1] / ANGSTROM
        if not isinstance(size, str) and abs(size - own) > TOLERANCE * own:
            raise AnnotationError(
                f"{path}: found pixels of {size:g} Å; need those of the image, {listed([own])} Å; check --spacing-um, or "
                "give the image that the points were picked on"
            )


def _own_names(blocks: Mapping[str, dict[str, list[Any]]]) -> tuple[str, ...]:
    return tuple(str(name) for name in blocks.get(CLASSES, {}).get(CLASS_NAME, ()))


def _named(
    numbers: Array | None, count: int, own: tuple[str, ...], kind: str | None, kinds: Sequence[str] | None, path: Path
) -> tuple[tuple[str, ...], Array]:
    """The table of classes, and each point's place in it."""
    if numbers is None:
        cells = [kind if kind is not None else "object"] * count
    else:
        cells = [_name(int(number), own or tuple(kinds or ()), path) for number in numbers]
    table = tuple(kinds) if kinds is not None else own or tuple(dict.fromkeys(cells)) or (kind or "object",)
    for cell in cells:
        if cell not in table:
            raise AnnotationError(f"{path}: {unknown('class', cell, table)}")
    return table, np.array([table.index(cell) for cell in cells], int)


def _name(number: int, known: tuple[str, ...], path: Path) -> str:
    """Of a class by its number, from 1; 0 is what programs write that know a single class."""
    if not known:
        return f"class {number}"
    if number == 0 and len(known) == 1:
        return known[0]
    if not 1 <= number <= len(known):
        raise AnnotationError(f"{path}: found {CLASS} {number}; need 1 … {len(known)}, one per class; renumber them")
    return known[number - 1]


def _libraries() -> tuple[Any, Any]:
    """Pandas and starfile, which take half a second to load, and are no part of the smallest install."""
    try:
        import pandas
        import starfile
    except ModuleNotFoundError as error:
        raise FormatError(
            f"found no package {error.name}; need it for STAR tables; run pip install 'graticule[formats]'"
        ) from error
    return pandas, starfile
