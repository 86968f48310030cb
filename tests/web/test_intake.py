from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from graticule.checkpoint import Checkpoint
from graticule.tasks import LABEL_FREE
from graticule.web.intake import IntakeError, free_name, recall, safe_name, take_in
from graticule.web.limits import Limits
from graticule.web.worker import DiedError, Worker
from graticule.web.workspace import Workspace, Workspaces, new_user
from tests.web.damage import BAD, GOOD, IMAGE_BYTES, LOOK_BYTES, Bad, damaged, picture, save, tiny_model

LIMITS = Limits(upload_bytes=50_000_000, image_bytes=IMAGE_BYTES, look_bytes=LOOK_BYTES, look_seconds=30)


@pytest.fixture(scope="module")
def look() -> Iterator[Worker]:
    """One process for all tests here."""
    worker = Worker()
    yield worker
    worker.close()


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    workspaces = Workspaces(tmp_path / "users", LIMITS)
    yield workspaces.of(new_user())
    workspaces.close()


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    """A place where a server would put what was sent."""
    (tmp_path / "sent").mkdir()
    return tmp_path / "sent" / "blob"


def left_of(workspace: Workspace) -> list[str]:
    """All files that the user has."""
    files = (path for path in workspace.folder.rglob("*") if path.is_file() and path.name != ".seen")
    return sorted(str(path.relative_to(workspace.folder)) for path in files)


# -- names ---------------------------------------------------------------------------------------------------------------


@given(st.text())
def test_any_name_becomes_a_plain_one(name: str) -> None:
    safe = safe_name(name, ".tif")
    assert safe.endswith(".tif")
    assert not {"/", "\\", ":", "\0", "<", ">", "|", "?", "*", '"', "'", "&", "$", "`"} & set(safe)
    assert not any(unicodedata.category(letter)[0] == "C" for letter in safe)
    assert safe[0] not in ".-~ "
    assert len(safe.encode()) < 200
    assert safe_name(safe, ".tif") == safe


@given(st.lists(st.sampled_from(["S1.tif", "s1.PNG", "S1.ome.tif", "S1-2.tif", "S2.tif"]), max_size=8))
def test_no_two_images_of_a_user_have_results_of_the_same_name(names: list[str]) -> None:
    taken: list[str] = []
    for name in names:
        suffix = f".{name.rpartition('.')[2].lower()}"
        taken.append(free_name(safe_name(name, suffix), suffix, taken))
    stems = [name.rpartition(".")[0].removesuffix(".ome").lower() for name in taken]
    assert len(set(stems)) == len(taken)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("S1.tif", "S1.tif"),
        ("../../etc/cron.d/S1.tif", "S1.tif"),
        ("C:\\Users\\anna\\S1.TIF", "S1.tif"),
        ("Größe 2 µm (Kopie).tiff", "Größe 2 μm (Kopie).tiff"),
        ("S1.OME.TIFF", "S1.ome.tiff"),
        (".htaccess.tif", "htaccess.tif"),
        ("...tif", "image.tif"),
        ("-rf.tif", "rf.tif"),
        ("nul.tif", "_nul.tif"),
        ("COM1.ome.tif", "_COM1.ome.tif"),
        ("a\r\nSet-Cookie: x.tif", "aSet-Cookie_ x.tif"),
        ("exe.\u202efit.tif", "exe.fit.tif"),
        ("..\uff0f..\uff0fS1.tif", "S1.tif"),
        ("S1.tif\0.tif", "S1.tif.tif"),
        ("a" * 300 + ".tif", "a" * 120 + ".tif"),
        ("ä" * 300 + ".ome.tif", "ä" * 60 + ".ome.tif"),
        ("volume.zarr:/0.tif", "0.tif"),
        ("<script>alert(1)</script>.tif", "script.tif"),
    ],
)
def test_hostile_names_lose_what_is_hostile(name: str, kept: str, upload, workspace, look) -> None:
    tifffile.imwrite(upload, picture())
    taken = take_in(upload, name, workspace, look=look)
    assert taken.name == kept
    assert workspace.images() == [taken.file]


# -- what is good --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", GOOD)
def test_what_can_be_read_is_taken_in_as_it_is(suffix: str, tmp_path, workspace, look) -> None:
    sent = tmp_path / f"sent{suffix}"
    save(sent)
    taken = take_in(sent, f"S1{suffix}", workspace, look=look)
    assert taken.file.read_bytes() == sent.read_bytes()
    assert taken.image is not None
    assert (taken.image.axes, taken.image.shape) == ("yx", (64, 70))
    assert taken.image.bytes_decoded == 64 * 70 * np.dtype(taken.image.dtype).itemsize
    assert taken.image.spacing_um == ((0.5, 0.5) if suffix == ".tiff" else None)
    assert taken.image.needs == (() if suffix == ".tiff" else ("spacing",))
    assert recall(workspace, "images", taken.name) == taken


def test_what_has_to_be_asked_for_is_said(tmp_path, workspace, look) -> None:
    def needs(name: str, pixels: np.ndarray, **how: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
        tifffile.imwrite(tmp_path / "sent", pixels, **how)
        taken = take_in(tmp_path / "sent", name, workspace, look=look)
        assert taken.image is not None
        return taken.image.needs, taken.image.channels

    sized = {"imagej": True, "resolution": (10, 10)}
    plane, channels = {"unit": "um"}, {"unit": "um", "axes": "CYX"}
    assert needs("a.tif", picture(), **sized, metadata=plane) == ((), ())
    assert needs("b.tif", picture((3, 40, 50)), **sized, metadata=channels) == (("channel",), ("0", "1", "2"))
    assert needs("c.tif", picture((40, 50, 3)), photometric="rgb") == (("spacing", "channel"), ("red", "green", "blue"))
    assert needs("d.tif", picture((5, 40, 50))) == (("spacing", "axes"), ())
    assert needs("e.tif", picture((5, 40, 50)), imagej=True, metadata={"axes": "TYX"}) == (("spacing", "axes"), ())


def test_a_large_image_is_read_in_part_only(tmp_path, look) -> None:
    """Of 100 MB, under a limit of 20 MB; the file is mapped."""
    workspaces = Workspaces(tmp_path / "users", Limits(look_bytes=20_000_000))
    np.save(tmp_path / "sent.npy", np.zeros((10_000, 10_000), np.uint8))
    taken = take_in(tmp_path / "sent.npy", "S1.npy", workspaces.of(new_user()), look=look)
    assert taken.image is not None
    assert taken.image.bytes_decoded == 100_000_000
    workspaces.close()


def test_a_model_is_taken_in_with_what_it_is_for(tmp_path, workspace, look) -> None:
    tiny_model().save(tmp_path / "m.safetensors")
    taken = take_in(tmp_path / "m.safetensors", "discs.safetensors", workspace, look=look, kind="models")
    assert taken.model is not None
    assert (taken.model["task"], taken.model["settings"]["classes"]) == ("beads", ["6nm"])
    assert recall(workspace, "models", "discs.safetensors") == taken
    assert workspace.images() == []


def test_a_method_without_weights_is_a_model_too(tmp_path, workspace, look) -> None:
    Checkpoint(LABEL_FREE["tissue-texture"]()).save(tmp_path / "m.safetensors")
    taken = take_in(tmp_path / "m.safetensors", "m.safetensors", workspace, look=look, kind="models")
    assert taken.model is not None
    assert taken.model["task"] == "tissue-texture"


# -- what is not ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_what_is_not_what_it_says_is_refused_in_one_line(bad: Bad, tmp_path, workspace, look) -> None:
    (tmp_path / "sent").mkdir()
    sent = tmp_path / "sent" / bad.name
    bad.make(sent)
    workspace.make()
    for beside in sent.parent.iterdir():  # what it says lies beside it does
        if beside != sent:
            beside.rename(workspace.place("images") / beside.name)
    before = left_of(workspace)
    with pytest.raises(IntakeError, match=bad.said) as refused:
        take_in(sent, bad.name, workspace, look=look, kind=bad.kind)
    check_line(str(refused.value), bad.name, tmp_path)
    assert left_of(workspace) == before


def check_line(said: str, name: str, folder: Path) -> None:
    """One line, that begins with the name and tells nothing of the server."""
    assert said.startswith(name)
    assert len(said.splitlines()) == 1
    assert len(said) < 600
    assert not [word for word in ("Traceback", "uploading", str(folder), "our fault") if word in said]


def test_what_is_too_large_is_not_even_copied(upload, workspace, look) -> None:
    with upload.open("wb") as file:
        file.truncate(LIMITS.upload_bytes + 1)
    with pytest.raises(IntakeError, match=r"S1\.tif: found 50 MB; this server takes files of up to 50 MB"):
        take_in(upload, "S1.tif", workspace, look=look)
    assert not workspace.folder.exists()


def test_who_has_no_room_is_told_so(tmp_path, upload, look) -> None:
    workspaces = Workspaces(tmp_path / "users", Limits(user_bytes=5000))
    workspace = workspaces.of(new_user())
    tifffile.imwrite(upload, picture())
    take_in(upload, "S1.tif", workspace, look=look)
    before = left_of(workspace)
    upload.write_bytes(upload.read_bytes() + bytes(3000))
    with pytest.raises(IntakeError, match=r"S2\.tif: found .* of yours on this server"):
        take_in(upload, "S2.tif", workspace, look=look)
    assert left_of(workspace) == before
    workspaces.close()


def test_a_link_that_was_sent_is_not_followed(tmp_path, workspace, look) -> None:
    tifffile.imwrite(tmp_path / "secret.tif", picture())
    (tmp_path / "link.tif").symlink_to(tmp_path / "secret.tif")
    with pytest.raises(IntakeError, match="found nothing that was uploaded"):
        take_in(tmp_path / "link.tif", "S1.tif", workspace, look=look)


def test_what_takes_too_long_to_read_is_refused(tmp_path, upload, look) -> None:
    workspaces = Workspaces(tmp_path / "users", Limits(look_seconds=0.01))
    with h5py.File(upload, "w") as file:
        for number in range(3000):
            file.create_group(f"{number}/a/b")
    workspace = workspaces.of(new_user())
    with pytest.raises(IntakeError, match=r"S1\.h5: found that reading it takes longer than 0\.01 s"):
        take_in(upload, "S1.h5", workspace, look=look)
    assert left_of(workspace) == []
    workspaces.close()


def test_a_reader_that_dies_is_the_files_fault(upload, workspace) -> None:
    """Damaged files can end a decoder's process."""

    class Dying(Worker):
        def do(self, *order: object, **how: object):
            raise DiedError("found that the program doing this was ended (SIGSEGV)")

    tifffile.imwrite(upload, picture())
    with pytest.raises(IntakeError, match=r"S1\.tif: found a damaged or unsupported image, at which the reader failed"):
        take_in(upload, "S1.tif", workspace, look=Dying())
    assert left_of(workspace) == []


@pytest.mark.parametrize("suffix", GOOD)
def test_random_damage_is_taken_in_or_refused_in_one_line(suffix: str, tmp_path, workspace, look) -> None:
    save(tmp_path / f"whole{suffix}")
    content, sent = (tmp_path / f"whole{suffix}").read_bytes(), tmp_path / f"sent{suffix}"
    refused = 0
    for number, hurt in enumerate(damaged(content, seed=len(suffix), count=25)):
        sent.write_bytes(hurt)
        before = left_of(workspace)
        try:
            take_in(sent, f"S{number}{suffix}", workspace, look=look)
        except IntakeError as error:
            refused += 1
            check_line(str(error), f"S{number}{suffix}", tmp_path)
            assert left_of(workspace) == before
    assert refused > 5
    assert look.pid is not None
