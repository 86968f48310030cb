"""Deciding again from kept maps gives what predicting again gives, to the last digit, and needs no network."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from tifffile import imread

from graticule import io
from graticule.checkpoint import Checkpoint
from graticule.errors import FormatError, SettingsError, StoreError
from graticule.image import Image
from graticule.inference import find
from graticule.io.omezarr import open_level
from graticule.results import Labels, Points
from graticule.simulate.rosettes import RosetteScenes
from graticule.tasks import LABEL_FREE, TASKS, Beads, Rosettes, RosettesVertices
from graticule.tasks.beads import REACH
from graticule.tasks.tissue_baselines import TissueOtsu
from graticule.workflows.again import Kept, decide, heat, write_again
from graticule.workflows.predict import predict_maps, searching
from graticule.workflows.predict_files import Job, predict_file
from tests.synthetic import SPACING_UM, discs, scattered

KINDS = ("6nm", "12nm")
VOLATILE = ("time", "seconds", "work", "again", "maps")
SPARED = ("run.json", "report.html")
"""They say when the run was, and how long it took."""


class DarkBeads(Beads):
    """Beads in several tiles, by how dark a place is: no network, but maps, classes and decisions are those of beads."""

    @property
    def grid(self):
        grid = super().grid
        return replace(grid, tile=(96, 96), halo=tuple(h - REACH + 32 for h in grid.halo))

    def forward(self, weights, device):
        def maps(batch):
            dark = gaussian_filter(np.clip(-batch[:, 0] / 30, 0, 1), (0, 2, 2), mode="constant")[:, ::2, ::2]
            heat = [np.clip(2 * dark, 0, 1), np.clip(4 * dark - 1, 0, 1)]
            return np.stack([*heat, 3 * dark, -0.1 * dark], axis=1).astype(np.float32)

        return maps


class PatchyOtsu(TissueOtsu):
    """A mask in blocks of one chunk each."""

    @property
    def grid(self):
        return replace(super().grid, tile=(16, 64, 64))


class BlurredRosettes(Rosettes):
    """Rosettes in windows, where boundaries lie dense: no network, but the view and decisions are those of rosettes."""

    @property
    def grid(self):
        return replace(super().grid, tile=(96, 96), halo=(32, 32))

    def forward(self, weights, device):
        return lambda batch: (
            np.round(np.clip(4 * gaussian_filter(batch[:, :1], (0, 0, 4, 4), mode="constant"), 0, 1) * 255) / 255
        ).astype(np.float32)


BEADS = DarkBeads(
    classes=KINDS, diameters_nm=(6, 12), match_nm=(5, 8), working_nm=SPACING_UM * 1000, thresholds=(0.3, 0.4)
)
ROSETTES = BlurredRosettes(thresholds=(0.5,), min_cells=1.0)


@pytest.fixture(scope="module", autouse=True)
def known():
    """The tasks of this file, as if they were the package's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, "beads", DarkBeads)
        patch.setitem(TASKS, "rosettes", BlurredRosettes)
        patch.setitem(LABEL_FREE, "tissue-otsu", PatchyOtsu)
        yield


@pytest.fixture(scope="module")
def beads_run(known, tmp_path_factory):
    """Points in nine tiles; to be looked at only."""
    return kept(BEADS, beads_image(), tmp_path_factory.mktemp("beads") / "kept")


@pytest.fixture(scope="module")
def rosettes_run(known, tmp_path_factory):
    """Numbered outlines of a plane, in several windows."""
    return kept(ROSETTES, cells_image(), tmp_path_factory.mktemp("rosettes") / "kept")


@pytest.fixture(scope="module")
def mask_run(known, tmp_path_factory):
    """The mask of a volume, in four blocks."""
    return kept(PatchyOtsu(), volume(), tmp_path_factory.mktemp("mask") / "kept")


def beads_image():
    return scattered(5, 40, (230, 260), 24, 2, kind=[0, 1] * 20, kinds=KINDS, diameter_px=(10.0, 20.0)).image


def cells_image():
    return RosetteScenes(shape_px=(160, 190), rosettes=(3, 6), empty=0.0).draw(2).image


def volume():
    noise = gaussian_filter(np.random.default_rng(1).normal(size=(70, 140, 72)), 3)
    return Image((255 * (noise > 0.02)).astype(np.uint8), "zyx", (0.04, 0.03, 0.03))


def predicted(task, image, folder, *, beside=None, **how):
    """The folder of a fresh prediction, by the command line's own way; of the files of another run, to be like it."""
    home = folder.parent if beside is None else beside.folder.parents[1]
    if beside is None and not (home / "image.tif").exists():
        (home / "model").write_text("")
        io.write(image, home / "image.tif")
    job = Job(models=(Checkpoint(task),), files=(home / "model",), out=folder, device="cpu", **how)
    return predict_file(home / "image.tif", job).folder


def kept(task, image, folder, **how):
    return Kept.load(predicted(task, image, folder, keep_maps=True, **how))


def files(folder: Path) -> dict[str, bytes]:
    """By name; of TIFF the pixels, as it notes the second when it was written."""
    every = (path for path in folder.rglob("*") if path.is_file())
    named = {
        path.relative_to(folder).as_posix(): imread(path).tobytes() if path.suffix == ".tif" else path.read_bytes()
        for path in every
    }
    return {name: data for name, data in named.items() if name not in SPARED and not name.startswith("maps/")}


def lasting(folder: Path) -> dict[str, Any]:
    run = json.loads((folder / "run.json").read_text())
    return {name: value for name, value in run.items() if name not in VOLATILE}


def differing(one: Path, other: Path) -> list[str]:
    """Files that are not the same byte by byte, and what else run.json says otherwise than when and where from."""
    ours, theirs, told, said = files(one), files(other), lasting(one), lasting(other)
    named = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
    return sorted(named + [name for name in told.keys() | said.keys() if told.get(name) != said.get(name)])


def points_of(folder: Path, image: Image) -> Points:
    return io.read_points(folder / "objects.csv", image, kinds=KINDS)


# -- the same as predicting anew -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "moved",
    [{}, {"thresholds": (0.6, 0.2)}, {"suppression": 1.4}, {"thresholds": (0.12, 0.77), "suppression": 0.1}],
    ids=str,
)
def test_points_in_several_tiles(tmp_path, beads_run, moved):
    image = beads_image()
    assert len(beads_run.plan.blocks) == 9
    fresh = predicted(replace(BEADS, **moved), image, tmp_path / "fresh", beside=beads_run)
    task = replace(beads_run.task, **moved)
    again = write_again(beads_run, task, tmp_path / "again").folder
    assert differing(again, fresh) == []
    found, on_disk = decide(beads_run, task), points_of(fresh, image)
    assert isinstance(found, Points) and len(found) == len(on_disk) > 5
    np.testing.assert_allclose(found.position_um, on_disk.position_um, atol=1e-6)
    np.testing.assert_array_equal(found.kind, on_disk.kind)


@pytest.mark.parametrize("moved", [{}, {"thresholds": (0.52,)}, {"min_cells": 0.2}, {"thresholds": (0.999,)}], ids=str)
def test_numbered_outlines_of_a_plane(tmp_path, rosettes_run, moved):
    image = cells_image()
    assert len(rosettes_run.plan.blocks) == 1 and len(rosettes_run.plan.tiles) > 1
    fresh = predicted(replace(ROSETTES, **moved), image, tmp_path / "fresh", beside=rosettes_run)
    task = replace(rosettes_run.task, **moved)
    assert differing(write_again(rosettes_run, task, tmp_path / "again").folder, fresh) == []
    found = decide(rosettes_run, task)
    assert isinstance(found, Labels) and found.image.shape == image.shape
    np.testing.assert_array_equal(
        found.image.data, io.read(fresh / "objects.tif", spacing_um=image.spacing_um).data[...]
    )
    assert (found.image.data.max() > 0) == (moved.get("thresholds") != (0.999,))


@pytest.mark.parametrize("moved", [{}, {"threshold": 0.8, "max_hole_size": 0}, {"min_region_size": 4000}], ids=str)
def test_the_mask_of_a_volume_in_several_blocks(tmp_path, mask_run, moved):
    image = volume()
    assert len(mask_run.plan.blocks) == 4
    fresh = predicted(replace(PatchyOtsu(), **moved), image, tmp_path / "fresh", beside=mask_run)
    task = replace(mask_run.task, **moved)
    assert differing(write_again(mask_run, task, tmp_path / "again").folder, fresh) == []
    found = decide(mask_run, task)
    on_disk = np.asarray(open_level(fresh / "confidence.ome.zarr" / "labels" / "mask")[...])
    np.testing.assert_array_equal(found.image.data, on_disk)
    assert 0 < on_disk.mean() < 1 and found.image.spacing_um == image.spacing_um


def test_what_lies_beyond_the_image_is_left_out(tmp_path):
    image = discs([[92, 40], [50, 50]], (95, 95)).image
    run = kept(BEADS, image, tmp_path / "kept")
    everywhere = searching(run.setup(run.task), run.plan, None).points()
    assert sorted(image.to_voxels(everywhere.position_um)[:, 0] > 94.5) == [False, True]
    assert len(decide(run, run.task)) == len(points_of(run.folder, image)) == 1


def test_a_mask_given_afterwards(tmp_path, beads_run):
    image = beads_image()
    allowed = np.zeros(image.shape, np.uint8)
    allowed[40:150, :120] = 1
    io.write(Labels(replace(image, data=allowed)), tmp_path / "mask.tif")
    how = {"mask": tmp_path / "mask.tif", "mask_margin_nm": 3.0}
    fresh = predicted(BEADS, image, tmp_path / "fresh", beside=beads_run, **how)
    again = write_again(beads_run, beads_run.task, tmp_path / "again", **how)
    assert differing(again.folder, fresh) == [] and "the mask spared 5 of 9 blocks" in again.said
    found = decide(beads_run, beads_run.task, mask=replace(image, data=allowed), mask_margin_nm=3.0)
    np.testing.assert_allclose(found.position_um, points_of(fresh, image).position_um, atol=1e-6)
    assert 0 < len(found) < len(decide(beads_run, beads_run.task))


def test_other_settings_inside_the_mask_that_the_run_had(tmp_path):
    image = beads_image()
    allowed = np.zeros(image.shape, np.uint8)
    allowed[40:150, :120] = 1
    io.write(Labels(replace(image, data=allowed)), tmp_path / "mask.tif")
    run = kept(BEADS, image, tmp_path / "kept", mask=tmp_path / "mask.tif")
    moved = {"thresholds": (0.7, 0.2)}
    fresh = predicted(replace(BEADS, **moved), image, tmp_path / "fresh", mask=tmp_path / "mask.tif")
    assert differing(write_again(run, replace(run.task, **moved), tmp_path / "again").folder, fresh) == []
    with pytest.raises(StoreError, match="the run looked inside its mask only") as refusal:
        decide(run, run.task, mask=replace(image, data=np.ones_like(allowed)))
    assert "\n" not in str(refusal.value)


def test_where_a_mask_leaves_nothing_no_points_of_the_same_classes_are_found(tmp_path):
    image = beads_image()
    nothing = replace(image, data=np.zeros(image.shape, np.uint8))
    io.write(Labels(nothing), tmp_path / "mask.tif")
    searched = kept(BEADS, image, tmp_path / "kept")
    spared = kept(BEADS, image, tmp_path / "spared", mask=tmp_path / "mask.tif")
    for run, mask in ((searched, nothing), (spared, None)):
        found = decide(run, run.task, mask=mask)
        assert isinstance(found, Points) and len(found) == 0 and found.kinds == KINDS
    assert heat(spared) is None


# -- keeping maps changes nothing else -----------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["points", "plane", "volume"])
def test_keeping_maps_changes_no_other_byte(tmp_path, case):
    task, image = {
        "points": (BEADS, beads_image()),
        "plane": (RosettesVertices(), RosetteScenes(shape_px=(120, 130)).draw(1).image),
        "volume": (PatchyOtsu(), volume()),
    }[case]
    plain = predicted(task, image, tmp_path / "plain")
    with_maps = predicted(task, image, tmp_path / "kept", keep_maps=True)
    assert differing(plain, with_maps) == []
    assert not (plain / "maps").exists() and list((with_maps / "maps").glob("*.npy"))


def test_a_run_that_was_stopped_goes_on_with_its_maps(tmp_path, monkeypatch):
    image, calls = beads_image(), []
    straight = predicted(BEADS, image, tmp_path / "straight", keep_maps=True)
    save = find.save

    def killed(points, path):
        calls.append(path)
        if len(calls) == 5:
            raise KeyboardInterrupt
        save(points, path)

    monkeypatch.setattr(find, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        predicted(BEADS, image, tmp_path / "stopped", keep_maps=True)
    monkeypatch.setattr(find, "save", save)
    with pytest.raises(StoreError, match="another maps"):
        predicted(BEADS, image, tmp_path / "stopped", resume=True)
    resumed = predicted(BEADS, image, tmp_path / "stopped", keep_maps=True, resume=True)
    assert differing(resumed, straight) == []
    maps = {path.name: path.read_bytes() for path in (straight / "maps").iterdir()}
    assert maps == {path.name: path.read_bytes() for path in (resumed / "maps").iterdir()} and len(maps) == 18


# -- what is shown and said ----------------------------------------------------------------------------------------------


def test_the_heat_of_points_is_the_confidence_of_each_class_where_it_lies(tmp_path, beads_run):
    image = beads_image()
    seen, maps = heat(beads_run), predict_maps(image, [Checkpoint(BEADS)], device="cpu")
    assert (seen.spacing_um, seen.origin_um) == (maps.spacing_um, maps.origin_um) and seen.axes == "cyx"
    np.testing.assert_array_equal(seen.data[...], np.round(maps.data[:2] * 255).astype(np.uint8))
    assert seen.data[...].max() > 200


def test_the_heat_of_a_mask_is_the_confidence_that_was_written(tmp_path, mask_run):
    confidence = np.asarray(open_level(mask_run.folder / "confidence.ome.zarr")[...])
    seen = heat(mask_run)
    np.testing.assert_array_equal(seen.data[0], confidence)
    np.testing.assert_array_equal(seen.data[0, 60:68, 120:130], confidence[60:68, 120:130])
    assert (seen.spacing_um, seen.origin_um) == (mask_run.image.spacing_um, mask_run.image.origin_um)


def test_what_is_written_again_says_whose_maps_it_was_decided_by(tmp_path, beads_run):
    task = replace(beads_run.task, thresholds=(0.6, 0.2))
    folder = write_again(beads_run, task, tmp_path / "again").folder
    told = json.loads((folder / "run.json").read_text())
    assert str(beads_run.folder) in (folder / "report.html").read_text(encoding="utf-8")
    assert told["again"]["maps_of"] == str(beads_run.folder) and told["again"]["time"] == beads_run.run["time"]
    assert (
        told["thresholds"] == {"6nm": 0.6, "12nm": 0.2} == dict(zip(KINDS, told["settings"]["thresholds"], strict=True))
    )
    assert told["models"] == beads_run.run["models"] and told["image"] == beads_run.run["image"]
    with pytest.raises(FormatError, match="found no maps"):
        Kept.load(tmp_path / "again" / "image")


def test_neither_torch_nor_the_model_is_needed(tmp_path):
    image = RosetteScenes(shape_px=(120, 130)).draw(1).image
    folder = predicted(RosettesVertices(), image, tmp_path / "kept", keep_maps=True)
    (tmp_path / "model").unlink()
    script = (
        "import sys; from pathlib import Path\n"
        "from graticule.workflows.again import Kept, decide, write_again\n"
        f"kept = Kept.load(Path({str(folder)!r})); decide(kept, kept.task)\n"
        f"write_again(kept, kept.task, Path({str(tmp_path / 'again')!r}))\n"
        "print(sorted({'torch', 'monai'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert differing(tmp_path / "again" / "image", folder) == []


# -- refusals ------------------------------------------------------------------------------------------------------------


def test_a_suppression_that_reaches_beyond_the_context_of_blocks_is_refused(tmp_path, beads_run):
    with pytest.raises(SettingsError, match=r"a change of suppression.*predict anew") as refusal:
        decide(beads_run, replace(beads_run.task, suppression=6.0))
    assert "\n" not in str(refusal.value)


def test_in_a_single_block_a_suppression_of_any_size_is_right(tmp_path):
    image = scattered(5, count=12, shape=(90, 95), kind=[0, 1] * 6, kinds=KINDS).image
    run = kept(BEADS, image, tmp_path / "kept")
    fresh = predicted(replace(BEADS, suppression=9.0), image, tmp_path / "fresh")
    again = write_again(run, replace(run.task, suppression=9.0), tmp_path / "again").folder
    assert differing(again, fresh) == [] and len(points_of(fresh, image)) < 5


@pytest.mark.parametrize(
    ("moved", "says"),
    [({"cells": "membranes"}, "found another cells"), ({"cell_px": 20.0}, "found another cell_px")],
)
def test_what_the_network_would_have_seen_otherwise_is_refused(tmp_path, rosettes_run, moved, says):
    with pytest.raises(SettingsError, match=f"{says}.*they hold for other thresholds, min_cells; predict anew"):
        decide(rosettes_run, replace(rosettes_run.task, **moved))
    with pytest.raises(SettingsError, match="found maps of rosettes, not of beads"):
        decide(rosettes_run, BEADS)


def test_another_image_or_no_maps_or_no_place_are_refused(tmp_path):
    image = beads_image()
    run = kept(BEADS, image, tmp_path / "kept")
    with pytest.raises(FormatError, match="which would be lost"):
        write_again(run, run.task, tmp_path / "kept")
    assert run.folder.is_dir()
    io.write(image, tmp_path / "moved.tif")
    assert Kept.load(run.folder, image_file=tmp_path / "moved.tif").image.shape == image.shape
    io.write(replace(image, data=255 - np.asarray(image.data)), tmp_path / "other.tif")
    with pytest.raises(FormatError, match="is not the image"):
        Kept.load(run.folder, image_file=tmp_path / "other.tif")
    with pytest.raises(FormatError, match="found no maps"):
        Kept.load(predicted(BEADS, image, tmp_path / "plain"))


def test_maps_of_other_blocks_than_would_be_laid_now_are_refused(tmp_path):
    run = kept(BEADS, scattered(1).image, tmp_path / "kept")
    told = json.loads((run.folder / "run.json").read_text())
    (run.folder / "run.json").write_text(json.dumps({**told, "plan": {**told["plan"], "tiles": 7}}))
    with pytest.raises(FormatError, match="this version lays otherwise"):
        Kept.load(run.folder)


def test_a_mask_that_is_another_now_is_refused(tmp_path):
    image = beads_image()
    io.write(Labels(replace(image, data=np.ones(image.shape, np.uint8))), tmp_path / "mask.tif")
    run = kept(BEADS, image, tmp_path / "kept", mask=tmp_path / "mask.tif")
    (tmp_path / "mask.tif").unlink()
    with pytest.raises(FormatError, match="found that the mask"):
        Kept.load(run.folder)
