"""Taking in what users upload: under a harmless name, and only what could be read.

Nothing of an upload is read in the server's own process: a worker does that, under a limit of memory and of time.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import threading
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graticule.errors import FormatError, GraticuleError
from graticule.io import READERS, image_name
from graticule.io.atomic import replacing
from graticule.web.limits import in_words
from graticule.web.worker import DiedError, FaultError, RefusedError, TimedOutError, Worker
from graticule.web.workspace import UPLOADING, Kind, Workspace, about_file

FOLDERS = (".zarr",)
"""Suffixes of images that are folders, and cannot be sent as one file."""

MODEL = ".safetensors"

DOUBLE = (".ome",)
"""What belongs to a suffix when it stands before it."""

MOST_BYTES = 120
"""Of a name without its suffix, in UTF-8; file systems allow 255 with it."""

RESERVED = re.compile(r"(?i)con|prn|aux|nul|com\d|lpt\d")
"""Windows takes these for devices, whatever the suffix; users unpack results there."""

PUNCTUATION = " ._-+()[],#@="

_naming = threading.Lock()  # between seeing that a name is free and taking it


class IntakeError(FormatError):
    """An upload that is not taken in; one line on why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What an image says of itself.

    Attributes
    ----------
    axes, shape, dtype
        As in the file; see `graticule.io.Scan`.
    spacing_um
        Along the spatial axes, in the file's order; None where the file does not say.
    sizing
        Where that is from, or why there is none.
    channels
        Names, or numbers from 0 where there are none; empty for an image without channels.
    bytes_decoded
        Of all pixels.
    notes
        Sentences for people.
    needs
        What has to be asked for before the image can be used: ``spacing``, ``axes``, ``channel``.
    """

    axes: str
    shape: tuple[int, ...]
    dtype: str
    spacing_um: tuple[float, ...] | None
    sizing: str
    channels: tuple[str, ...]
    bytes_decoded: int
    notes: tuple[str, ...]
    needs: tuple[str, ...]

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Looked:
        """From what a worker answers, and what is kept in a file."""
        values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in plain.items()}
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A file that a user keeps, and what is known of it: `image` of images and masks, `model` of models.

    `model` is what `graticule.workflows.inspect.about_model` says.
    """

    file: Path
    bytes: int
    image: Looked | None = None
    model: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        return self.file.name


def take_in(file: Path, name: str, workspace: Workspace, *, look: Worker, kind: Kind = "images") -> Taken:
    """Copy an uploaded `file` into the user's folder, if it is what `name` says and fits; else nothing is left behind.

    Parameters
    ----------
    file
        Where the server put what was sent.
    name
        What the user's browser called it: nothing in it is believed but the suffix.
    look
        Reads the file.

    Raises
    ------
    IntakeError
        With one line that begins with the name.
    """
    suffix = _suffix(name, kind)
    shown = safe_name(name, suffix)
    try:
        size = _size(file, shown, workspace.limits.upload_bytes)
        workspace.check_room(size)
    except IntakeError:
        raise
    except GraticuleError as error:
        raise IntakeError(f"{shown}: {error}") from error
    workspace.make()
    aside = _aside(file, workspace.place(kind), suffix)
    try:
        facts = _looked_at(aside, shown, workspace, look, kind, size)
        return _kept(aside, workspace.place(kind), shown, suffix, facts)
    finally:
        aside.unlink(missing_ok=True)


def recall(workspace: Workspace, kind: Kind, name: str) -> Taken:
    """What was seen when that file was taken in."""
    file = workspace.find(kind, name)
    try:
        facts = json.loads(about_file(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise IntakeError(f"{name}: found no record of what is in it; remove it, and upload it again") from error
    return _taken(file, facts)


def keep_model(file: Path, facts: Mapping[str, Any], workspace: Workspace) -> Taken:
    """Move a model that was made here to the user's models, as if it had been uploaded; `facts` as of `Taken.model`."""
    workspace.make()
    return _kept(file, workspace.place("models"), file.name, MODEL, {"model": facts})


def safe_name(name: str, suffix: str) -> str:
    """`name` as a plain file name: no folders, control or invisible characters, reserved or overlong names.

    >>> safe_name("../../etc/S1 (2).OME.TIFF", ".tiff"), safe_name("con.tif", ".tif"), safe_name(".tif", ".tif")
    ('S1 (2).ome.tiff', '_con.tif', 'image.tif')
    """
    stem = re.split(r"[/\\]", unicodedata.normalize("NFKC", name))[-1]
    stem = stem[: len(stem) - len(suffix)] if stem.lower().endswith(suffix) else stem
    double = next((d for d in DOUBLE if stem.lower().endswith(d) and suffix != MODEL), "")
    stem = stem[: len(stem) - len(double)]
    visible = (letter for letter in stem if unicodedata.category(letter)[0] != "C")
    plain = "".join(c if unicodedata.category(c)[0] in "LMN" or c in PUNCTUATION else "_" for c in visible)
    plain = plain.encode()[:MOST_BYTES].decode(errors="ignore").strip(" .-_") or (
        "model" if suffix == MODEL else "image"
    )
    return f"{'_' if RESERVED.fullmatch(plain.partition('.')[0]) else ''}{plain}{double}{suffix}"


def free_name(name: str, suffix: str, taken: Sequence[str]) -> str:
    """`name`, or with a number behind it where another has it; of images, results go by the name without its suffix."""
    known = {image_name(other).lower() for other in taken}
    double = next((d for d in DOUBLE if name.endswith(f"{d}{suffix}")), "")
    stem, count = name.removesuffix(f"{double}{suffix}"), 1
    while image_name(name).lower() in known:
        count += 1
        name = f"{stem}-{count}{double}{suffix}"
    return name


def _suffix(name: str, kind: Kind) -> str:
    known = (MODEL,) if kind == "models" else tuple(suffix for suffix in READERS if suffix not in FOLDERS)
    last = re.split(r"[/\\]", unicodedata.normalize("NFKC", name))[-1]
    last = "".join(letter for letter in last if unicodedata.category(letter)[0] != "C").rstrip(" .")
    found = f".{last.rpartition('.')[2].lower()}" if "." in last else ""
    if found in known:
        return found
    what = safe_name(last, "") if last else "the file"
    if found in FOLDERS:
        raise IntakeError(f"{what}: found a Zarr, which is a folder; need one file; ask for it to be put below --root")
    if found == MODEL:
        raise IntakeError(f"{what}: found a model where an image is needed; upload it among the models")
    todo = "give a model made by training" if kind == "models" else "convert it, e.g. to TIFF in ImageJ"
    needed = f"one of {', '.join(known)}" if len(known) > 1 else known[0]
    raise IntakeError(f"{what}: found suffix {found[:20]!r}; need {needed}; {todo}")


def _size(file: Path, shown: str, most: int) -> int:
    if file.is_symlink() or not file.is_file():
        raise IntakeError(f"{shown}: found nothing that was uploaded; upload it again")
    size = file.stat().st_size
    if not size:
        raise IntakeError(f"{shown}: found an empty file (0 bytes); need an image; copy it again, and upload that")
    if size > most:
        raise IntakeError(
            f"{shown}: found {in_words(size)}; this server takes files of up to {in_words(most)}; crop it, or ask for it to "
            "be put where the server may read it"
        )
    return size


def _aside(file: Path, folder: Path, suffix: str) -> Path:
    """A copy in the folder where it will stay, under a name that nobody sees."""
    handle, name = tempfile.mkstemp(prefix=UPLOADING, suffix=suffix, dir=folder)
    os.close(handle)
    aside = Path(name)
    try:
        shutil.copyfile(file, aside)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise IntakeError(
            f"the upload could not be kept ({error.strerror}); need room on the server; tell whoever runs it"
        ) from error
    return aside


def _looked_at(
    aside: Path, shown: str, workspace: Workspace, look: Worker, kind: Kind, size: int
) -> dict[str, dict[str, Any]]:
    """What is in it, by a worker that may come to harm."""
    limits = workspace.limits
    what, errand = ("model", "look at model") if kind == "models" else ("image", "look")
    memory = limits.look_bytes + (2 * size if kind == "models" else 0)
    order = {"file": str(aside), "image_bytes": limits.image_bytes, "memory": memory}
    try:
        return {what: look.do(errand, order, seconds=limits.look_seconds)}
    except TimedOutError as error:
        said = f"found that reading it takes longer than {limits.look_seconds:g} s; need a simpler file"
        raise IntakeError(f"{shown}: {said}; save it anew, e.g. as TIFF") from error
    except (DiedError, FaultError) as error:
        said = f"found a damaged or unsupported {what}, at which the reader failed; need a readable one"
        raise IntakeError(f"{shown}: {said}; copy it again, or save it anew") from error
    except RefusedError as error:
        said = str(error).replace(str(aside), shown).replace(aside.name, shown)
        raise IntakeError(said if shown in said else f"{shown}: {said}") from error


def _kept(aside: Path, folder: Path, name: str, suffix: str, facts: Mapping[str, Any]) -> Taken:
    with _naming:
        taken = [path.name for path in folder.iterdir() if path.name[0] != "."]
        file = folder / free_name(name, suffix, taken)
        _note(file, facts)
        os.replace(aside, file)
    return _taken(file, facts)


def _note(file: Path, facts: Mapping[str, Any]) -> None:
    with replacing(about_file(file)) as path:
        path.write_text(json.dumps(facts), encoding="utf-8")


def _taken(file: Path, facts: Mapping[str, Any]) -> Taken:
    image = Looked.from_plain(facts["image"]) if "image" in facts else None
    return Taken(file=file, bytes=file.stat().st_size, image=image, model=facts.get("model"))
