"""Outlines of volumes from the command line: what is written, killed runs, masks, memory, bad input."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from scipy.ndimage import gaussian_filter

from graticule import io
from graticule.image import Image
from graticule.tasks import LABEL_FREE

SOURCE = Path(__file__).parents[2] / "src"
TEXTURE = ("--model", "tissue-texture")


def stack(shape=(10, 300, 340), seed=0, tissue=True) -> Image:
    """A round piece of texture in noisy resin, in every slice."""
    rng = np.random.default_rng(seed)
    grey = 190 + rng.normal(0, 5, shape)
    if tissue:
        yy, xx = np.indices(shape[-2:])
        inside = (yy - shape[-2] / 2) ** 2 + (xx - shape[-1] / 2) ** 2 < (0.35 * min(shape[-2:])) ** 2
        texture = gaussian_filter(rng.normal(size=shape), (0,) * (len(shape) - 2) + (1.5, 1.5))
        grey = np.where(inside, 120 + texture / texture.std() * 30, grey)
    return Image(np.clip(grey, 0, 255).astype(np.uint8), "zyx"[-len(shape) :], (0.01,) * len(shape))


@pytest.fixture
def volume(tmp_path) -> Path:
    io.write(stack(), tmp_path / "volume.zarr")
    return tmp_path / "volume.zarr"


def mask_of(folder: Path) -> np.ndarray:
    return np.asarray(io.read(folder / "confidence.ome.zarr" / "labels" / "mask").data[...])


def test_a_volume_gets_confidence_and_labels_that_open_by_themselves(graticule, volume, tmp_path):
    ended = graticule("predict", volume, *TEXTURE, "-o", "found", "--json")
    assert ended.code == 0, ended.err
    folder = tmp_path / "found" / "volume"
    assert {p.name for p in folder.iterdir()} == {"confidence.ome.zarr", "overlay.png", "report.html", "run.json"}
    mask = io.read(folder / "confidence.ome.zarr" / "labels" / "mask")
    assert (mask.shape, mask.spacing_um) == ((10, 300, 340), (0.01, 0.01, 0.01))
    assert 0.25 < np.mean(np.asarray(mask.data[...]) > 0) < 0.45
    assert io.read(folder / "confidence.ome.zarr").data.dtype == np.uint8
    facts = json.loads((folder / "run.json").read_text())
    assert facts["counts"]["tissue"] == ended.json["images"][0]["counts"]["tissue"] == int(np.sum(mask.data[...] > 0))
    assert facts["models"][0]["method"] == "tissue-texture"
    assert facts["measured"]
    assert "µm³" in ended.err or "tissue" in ended.out


def test_a_plane_gets_images_of_its_own_size(graticule, tmp_path):
    io.write(stack((300, 341)), tmp_path / "plane.tif")
    assert graticule("predict", "plane.tif", *TEXTURE, "-o", "found").code == 0
    folder = tmp_path / "found" / "plane"
    assert {p.name for p in folder.iterdir()} == {
        "mask.tif",
        "confidence.tif",
        "overlay.png",
        "report.html",
        "run.json",
    }
    mask, confidence = io.read(folder / "mask.tif"), io.read(folder / "confidence.tif")
    assert mask.shape == confidence.shape == (300, 341)
    np.testing.assert_array_equal(mask.data[...] > 0, np.asarray(mask.data[...]) == 1)
    assert mask.spacing_um == (0.01, 0.01)


def test_resin_alone_gives_an_empty_mask_and_says_so(graticule, tmp_path):
    io.write(stack((4, 200, 220), tissue=False), tmp_path / "resin.tif")
    ended = graticule("predict", "resin.tif", *TEXTURE, "-o", "found")
    assert ended.code == 0
    assert "no tissue" in ended.out
    assert not mask_of(tmp_path / "found" / "resin").any()


def test_a_constant_slab_does_no_harm(graticule, tmp_path):
    whole = stack()
    voxels = np.array(whole.data)
    voxels[3:5] = 0
    io.write(replace(whole, data=voxels), tmp_path / "slab.zarr")
    assert graticule("predict", "slab.zarr", *TEXTURE, "-o", "found").code == 0
    mask = mask_of(tmp_path / "found" / "slab")
    assert not mask[3:5].any()
    assert 0.25 < mask[[0, 1, 7, 8]].mean() < 0.45


def test_settings_are_changed_by_name(graticule, volume, tmp_path):
    assert graticule("predict", volume, *TEXTURE, "-o", "found", "--set", "min_region_size=99999999").code == 0
    assert not mask_of(tmp_path / "found" / "volume").any()
    assert "block_size" in graticule("predict", volume, *TEXTURE, "-o", "f", "--set", "blok_size=3").complaint
    assert "NAME=VALUE" in graticule("predict", volume, *TEXTURE, "-o", "f", "--set", "threshold").complaint


def test_what_a_network_learnt_with_is_not_changed_afterwards(graticule, model, picture):
    said = graticule("predict", picture, "--model", model, "-o", "found", "--set", "working_nm=3").complaint
    assert "thresholds, suppression" in said


def test_a_dry_run_says_blocks_memory_disk_and_time_and_writes_nothing(graticule, volume, tmp_path):
    ended = graticule("predict", volume, *TEXTURE, "--dry-run", "--json")
    assert ended.code == 0
    said = ended.json["images"][0]
    assert said["blocks"] >= 1
    assert said["output_bytes"] == 2 * 10 * 300 * 340 * 4 // 3, "confidence and mask, and coarser levels of both"
    assert said["peak_bytes"] > 10**7
    assert said["seconds"] > 0
    assert {p.name for p in tmp_path.iterdir() if p.name[0] != "."} == {"volume.zarr"}


@pytest.mark.parametrize(("memory", "word"), [("lots", "2GB"), ("10MB", "more with --memory")])
def test_an_amount_of_memory_that_cannot_be_is_refused(graticule, volume, memory, word):
    assert word in graticule("predict", volume, *TEXTURE, "-o", "found", "--memory", memory).complaint


# -- one run gates another ---------------------------------------------------------------------------------------------


def test_outlines_of_one_run_are_the_mask_of_the_next(graticule, volume, tmp_path):
    assert graticule("predict", volume, *TEXTURE, "-o", "tissue").code == 0
    tissue = mask_of(tmp_path / "tissue" / "volume")
    for mask in ("tissue", "tissue/volume", "tissue/volume/confidence.ome.zarr:/labels/mask"):
        ended = graticule("predict", volume, "--model", "tissue-otsu", "-o", "again", "--mask", mask)
        assert ended.code == 0, ended.err
        assert "the mask spared" in ended.out
        again = mask_of(tmp_path / "again" / "volume")
        assert again.any()
        assert not again[tissue == 0].any()


def test_a_mask_that_shows_something_else_is_refused(graticule, volume, tmp_path):
    io.write(stack((10, 100, 100)), tmp_path / "small.zarr")
    said = graticule("predict", volume, *TEXTURE, "-o", "found", "--mask", "small.zarr").complaint
    assert "small.zarr" in said
    assert "must show the same" in said


# -- killed and resumed ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """Enough for a dozen blocks where memory is short."""
    folder = tmp_path_factory.mktemp("large")
    io.write(stack((70, 400, 400)), folder / "large.zarr")
    return folder / "large.zarr"


SMALL_BLOCKS = """
import sys
from dataclasses import replace
from graticule.cli.app import run
from graticule.tasks import LABEL_FREE
kind = LABEL_FREE["tissue-texture"]
usual = kind.grid
kind.grid = property(lambda task: replace(usual.fget(task), tile=(64, 128, 128)))
sys.exit(run(sys.argv[1:]))
"""


def command(source: Path, out: str, *more: str) -> list[str]:
    return [sys.executable, "-c", SMALL_BLOCKS, "predict", str(source), *TEXTURE, "-o", out, *more]


def started(folder: Path, words: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.Popen(
        words, cwd=folder, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def tree(folder: Path) -> dict[str, bytes]:
    """The result's files and their bytes, but for the account of when it was made."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in ("run.json", "report.html"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


@pytest.mark.timeout(600)
def test_killed_again_and_again_a_run_comes_to_the_same_bytes(large, tmp_path):
    straight = started(tmp_path, command(large, "straight"))
    assert straight.wait() == 0, straight.stderr and straight.stderr.read()
    straight.communicate()
    ledger = tmp_path / "killed" / ".large.unfinished" / "ledger.jsonl"
    rng, kills, more = random.Random(3), 0, ()
    for target in (1, 7, 20, 40):
        process = started(tmp_path, command(large, "killed", *more))
        while process.poll() is None and lines(ledger) < target:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        assert not (tmp_path / "killed" / "large").exists() or process.returncode == 0
        more = ("--resume",) if lines(ledger) else ()
    assert kills >= 2
    assert lines(ledger) >= 4
    last = started(tmp_path, command(large, "killed", "--resume"))
    assert last.wait() == 0, last.stderr and last.stderr.read()
    last.communicate()
    assert tree(tmp_path / "straight" / "large") == tree(tmp_path / "killed" / "large")
    assert [p.name for p in (tmp_path / "killed").iterdir()] == ["large"]


def lines(ledger: Path) -> int:
    return len(ledger.read_bytes().splitlines()) if ledger.exists() else 0


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(large, tmp_path):
    ledger = tmp_path / "found" / ".large.unfinished" / "ledger.jsonl"
    process = started(tmp_path, command(large, "found"))
    while process.poll() is None and lines(ledger) < 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "--resume" in said
    assert "Traceback" not in said
    assert lines(ledger) >= 2


def test_a_run_with_other_settings_is_not_resumed(graticule, large, tmp_path, monkeypatch, many_blocks):
    with monkeypatch.context() as patched:
        stop_after(2, patched)
        with pytest.raises(RuntimeError):
            graticule("predict", large, *TEXTURE, "-o", "found", "--traceback")
    assert lines(tmp_path / "found" / ".large.unfinished" / "ledger.jsonl") == 2
    said = graticule("predict", large, *TEXTURE, "-o", "found", "--set", "block_size=32", "--resume").complaint
    assert "another measured, settings" in said
    anew = graticule("predict", large, *TEXTURE, "-o", "found")
    assert anew.code == 0
    assert "beginning anew" in anew.err


def test_a_batch_that_was_stopped_goes_on_with_the_images_it_had_not_finished(graticule, tmp_path):
    for seed, name in enumerate("abc"):
        io.write(stack((10, 100, 100), seed), tmp_path / "images" / f"{name}.zarr")
    batch = ("predict", tmp_path / "images", *TEXTURE, "-o", "found")
    assert graticule(*batch).code == 0
    whole = {name: tree(tmp_path / "found" / name) for name in "abc"}
    for name in "bc":
        shutil.rmtree(tmp_path / "found" / name)
    made = (tmp_path / "found" / "a" / "run.json").stat().st_mtime_ns
    again = graticule(*batch, "--resume")
    assert again.code == 0, again.err
    assert again.out.count("finished before") == 1
    assert (tmp_path / "found" / "a" / "run.json").stat().st_mtime_ns == made
    assert {name: tree(tmp_path / "found" / name) for name in "abc"} == whole
    other = graticule(*batch, "--set", "block_size=32", "--resume")
    assert "finished before" not in other.out, "with other settings it is another job"
    assert (tmp_path / "found" / "a" / "run.json").stat().st_mtime_ns != made


def test_where_nothing_was_begun_there_is_nothing_to_resume(graticule, volume, tmp_path):
    said = graticule("predict", volume, *TEXTURE, "-o", "found", "--resume").complaint
    assert "no unfinished run to resume; leave out --resume" in said


def test_a_full_disk_is_said_and_what_is_done_is_kept(graticule, large, tmp_path, monkeypatch, many_blocks):
    from graticule.inference.outline import Outlining

    keep, calls = Outlining._keep_regions, []

    def full(self, *args):
        calls.append(1)
        if len(calls) > 3:
            raise OSError(28, "No space left on device")
        keep(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(Outlining, "_keep_regions", full)
        said = graticule("predict", large, *TEXTURE, "-o", "found").complaint
    assert "disk is full" in said
    assert "--resume" in said
    assert graticule("predict", large, *TEXTURE, "-o", "found", "--resume").code == 0


@pytest.fixture
def many_blocks(monkeypatch):
    """The volume is done in 32 blocks."""
    kind = LABEL_FREE["tissue-texture"]
    usual = kind.grid
    small = property(lambda task: replace(usual.fget(task), tile=(64, 128, 128)))
    monkeypatch.setattr(kind, "grid", small)


def stop_after(blocks: int, monkeypatch) -> None:
    from graticule.inference.outline import Outlining

    compute, calls = Outlining._compute, []

    def stops(self, number):
        calls.append(1)
        if len(calls) > blocks:
            raise RuntimeError("stopped")
        compute(self, number)

    monkeypatch.setattr(Outlining, "_compute", stops)


# -- bad input ---------------------------------------------------------------------------------------------------------


def test_a_missing_chunk_is_read_as_zeros_as_zarr_has_it(graticule, volume, tmp_path):
    chunk = next(p for p in sorted((volume / "0").rglob("*")) if p.is_file() and p.name != "zarr.json")
    chunk.unlink()
    assert graticule("predict", volume, *TEXTURE, "-o", "found").code == 0


def test_a_damaged_chunk_is_named_and_nothing_is_left(graticule, volume, tmp_path):
    chunk = next(p for p in sorted((volume / "0").rglob("*")) if p.is_file() and p.name != "zarr.json")
    chunk.write_bytes(chunk.read_bytes()[:200])
    said = graticule("predict", volume, *TEXTURE, "-o", "found").complaint
    assert "volume.zarr" in said
    assert not (tmp_path / "found").exists()


def test_truncated_metadata_are_refused_in_one_line(graticule, volume):
    meta = volume / "zarr.json"
    meta.write_text(meta.read_text()[:60])
    assert "volume.zarr" in graticule("predict", volume, *TEXTURE, "-o", "found").complaint


def test_voxels_that_are_no_grey_levels_are_refused(graticule, tmp_path):
    zarr.create_array(tmp_path / "odd.zarr", shape=(4, 8, 8), dtype="complex64", chunks=(4, 8, 8))
    words = ("predict", "odd.zarr", *TEXTURE, "-o", "found", "--axes", "zyx", "--spacing-um", "0.01")
    assert "complex numbers" in graticule(*words).complaint


def test_a_volume_without_voxel_size_is_asked_for_it(graticule, tmp_path):
    array = zarr.create_array(tmp_path / "plain.zarr", shape=(4, 80, 80), dtype="uint8", chunks=(4, 80, 80))
    array[...] = np.random.default_rng(0).integers(0, 255, array.shape)
    assert "--axes" in graticule("predict", "plain.zarr", *TEXTURE, "-o", "found").complaint
    said = graticule("predict", "plain.zarr", *TEXTURE, "-o", "found", "--axes", "zyx").complaint
    assert "--spacing-um" in said


def test_a_model_made_for_planes_refuses_a_volume(graticule, model, volume):
    assert "this model is for planes" in graticule("predict", volume, "--model", model, "-o", "found").complaint


def test_a_method_without_training_is_judged_like_a_model(graticule, tmp_path):
    image = stack((260, 280))
    truth = np.asarray(image.data) < 170
    truth = gaussian_filter(truth.astype(float), 4) > 0.5
    io.write(image, tmp_path / "data" / "images" / "a.tif")
    io.write(replace(image, data=truth.astype(np.uint8)), tmp_path / "data" / "labels" / "a.tif")
    ended = graticule("evaluate", "data", "--model", "tissue-texture", "-o", "judged", "--json")
    assert ended.code == 0, ended.err
    assert json.loads((tmp_path / "judged" / "scores.json").read_text())["pooled"]["dice"] > 0.85
    assert json.loads((tmp_path / "judged" / "run.json").read_text())["models"] == [{"method": "tissue-texture"}]
