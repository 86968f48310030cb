"""What napari finds of us: manifest, reader, writers, samples; and that nobody pays who does not ask."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import graticule.napari
from graticule.errors import FormatError, SpacingError
from graticule.image import Image
from graticule.io import read, read_points, write
from graticule.results import Labels
from graticule.simulate import SCENES
from tests.napari.results import PX_UM, write_result

MANIFEST = Path(graticule.napari.__file__).with_name("napari.yaml")


@pytest.fixture(scope="module")
def manifest(viewers: None):
    from npe2 import PluginManifest

    return PluginManifest.from_file(MANIFEST)


def test_every_command_of_the_manifest_is_there(manifest) -> None:
    manifest.validate_imports()
    for command in manifest.contributions.commands:
        module, _, name = command.python_name.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_what_can_be_simulated_is_sample_data(manifest, viewers: None) -> None:
    samples = {sample.key for sample in manifest.contributions.sample_data}
    assert {"beads", "particles", "rosettes", "spots", "tissue"} <= samples <= set(SCENES)


def test_samples_lie_in_micrometres(viewers: None) -> None:
    from graticule.napari import samples

    (_, image, _), (places, points, kind) = samples.beads()
    assert kind == "points" and image["units"] == points["units"] == ("um", "um")
    assert image["scale"] == points["scale"] == pytest.approx((1 / 1790, 1 / 1790))
    assert len(places) == len(points["features"]["class"]) > 10
    (voxels, _, _), (labels, _, kind) = samples.rosettes()
    assert kind == "labels" and labels.shape == voxels.shape and labels.max() > 0


def test_neither_the_package_nor_its_help_loads_napari() -> None:
    code = "import sys, graticule, graticule.cli, graticule.napari; print([n for n in ('napari', 'qtpy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def layers(path: Path) -> dict:
    """By kind: data, and how they are to be shown."""
    from graticule.napari.reader import get_reader

    reader = get_reader(str(path))
    assert reader is not None
    return {kind: (data, how) for data, how, kind in reader(str(path))}


def test_a_result_is_read_with_its_image_in_micrometres(viewers: None, tmp_path: Path) -> None:
    folder = write_result(tmp_path)
    for path in (folder, folder / "run.json", folder / "objects.csv"):
        shown = layers(path)
        assert set(shown) == {"image", "points"}
    (pixels, image), (places, points) = shown["image"], shown["points"]
    assert pixels.shape == (120, 160) and image["scale"] == points["scale"] == (PX_UM, PX_UM)
    assert points["features"]["class"][0] in ("6nm", "12nm") and places[0] == pytest.approx([15, 20])
    assert points["size"][0] * PX_UM == pytest.approx(
        1.25 * (0.016 if points["features"]["class"][0] == "6nm" else 0.02)
    )
    assert points["metadata"]["graticule"]["task"] == "beads"


def test_outlines_are_read_as_labels(viewers: None, tmp_path: Path) -> None:
    shown = layers(write_result(tmp_path, outlined=True))
    assert set(shown) == {"image", "labels"} and shown["labels"][0].max() == 12
    assert shown["labels"][1]["scale"] == pytest.approx((PX_UM, PX_UM))


def test_a_mask_without_objects_is_read_without_its_image_if_that_is_gone(viewers: None, tmp_path: Path) -> None:
    folder = write_result(tmp_path, outlined=True)
    (folder / "objects.tif").rename(folder / "mask.tif")
    (tmp_path / "images" / "a.tif").unlink()
    assert set(layers(folder)) == {"labels"}


def test_what_is_no_result_is_left_to_others(viewers: None, tmp_path: Path) -> None:
    from graticule.napari.reader import get_reader, read_results

    assert get_reader(str(tmp_path)) is None and get_reader([str(tmp_path)]) is None
    with pytest.raises(FormatError, match="no result here"):
        read_results(tmp_path)
    folder = write_result(tmp_path)
    (folder / "run.json").write_text(json.dumps({"image": 3}))
    with pytest.raises(FormatError, match="no account of a prediction"):
        read_results(folder)


def test_points_are_written_in_micrometres_and_come_back(viewers: None, tmp_path: Path) -> None:
    from napari.layers import Points

    from graticule.napari.writer import write_points

    folder = write_result(tmp_path)
    data, how = layers(folder)["points"]
    given, keywords, _ = Points(data, **how).as_layer_data_tuple()
    [path] = write_points(str(tmp_path / "saved"), given, keywords)
    image = read(tmp_path / "images" / "a.tif")
    before, after = read_points(folder / "objects.csv", image), read_points(path, image)
    np.testing.assert_allclose(after.position_um, before.position_um, atol=1e-6)
    assert [after.kinds[k] for k in after.kind] == [before.kinds[k] for k in before.kind]
    np.testing.assert_allclose(after.confidence, before.confidence, atol=1e-6)


def test_nanometres_become_micrometres_and_pixels_are_refused(viewers: None, tmp_path: Path) -> None:
    from napari.layers import Points

    from graticule.napari.writer import write_points

    layer = Points(np.array([[10.0, 20.0]]), scale=(2, 4), units=("nm", "nm"))
    [path] = write_points(str(tmp_path / "a.csv"), *layer.as_layer_data_tuple()[:2])
    header, row = Path(path).read_text().splitlines()
    told = dict(zip(header.split(","), row.split(","), strict=True))
    assert (float(told["y_um"]), float(told["x_um"]), float(told["x_px"])) == (0.02, 0.08, 20)
    unknown = Points(np.zeros((1, 2))).as_layer_data_tuple()
    with pytest.raises(SpacingError, match="in pixel; need lengths") as refused:
        write_points(str(tmp_path / "b.csv"), *unknown[:2])
    assert "\n" not in str(refused.value) and not (tmp_path / "b.csv").exists()


@pytest.mark.parametrize("name", ["saved.tif", "saved.zarr", "saved"])
def test_labels_are_written_with_their_voxel_size(viewers: None, tmp_path: Path, name: str) -> None:
    from napari.layers import Labels as Layer

    from graticule.napari.writer import write_labels

    voxels = np.zeros((6, 20, 30), np.int32)
    voxels[2:4, 5:9, 5:9] = 7
    layer = Layer(voxels, scale=(3, 2, 2), units=("nm",) * 3)
    [path] = write_labels(str(tmp_path / name), *layer.as_layer_data_tuple()[:2])
    back = read(path)
    np.testing.assert_array_equal(np.asarray(back.data[...]), voxels)
    assert back.spacing_um == pytest.approx((0.003, 0.002, 0.002)) and back.axes == "zyx"


def test_large_images_are_shown_without_being_read_whole(viewers: None, tmp_path: Path, monkeypatch) -> None:
    from graticule.napari import layers as made

    monkeypatch.setattr(made, "IN_MEMORY", 1000)
    voxels = np.arange(4 * 30 * 40, dtype=np.uint16).reshape(4, 30, 40)
    write(Labels(Image(voxels, "zyx", (0.1, 0.1, 0.1))), tmp_path / "a.zarr")
    [(lazy, how, _)] = made.image_layers(read(tmp_path / "a.zarr"), "a")
    assert not isinstance(lazy, np.ndarray) and lazy.chunks[0] == (1, 1, 1, 1)
    np.testing.assert_array_equal(np.asarray(lazy[2]), voxels[2])
    assert how["contrast_limits"][1] < voxels[2].max()


def test_the_plugin_opens_results_and_its_panel_in_the_window(window, tmp_path: Path) -> None:
    from importlib.metadata import entry_points

    if "graticule" not in {point.name for point in entry_points(group="napari.manifest")}:
        pytest.skip("the plugin's entry point is not installed: `pip install -e .` anew")
    viewer, _ = window
    before = len(viewer.layers)
    opened = viewer.open(str(write_result(tmp_path, outlined=True)), plugin="graticule")
    assert [layer.name for layer in opened] == ["a", "a, outlines"]
    dock, panel = viewer.window.add_plugin_dock_widget("graticule", "Graticule review")
    assert type(panel).__name__ == "ReviewPanel"
    viewer.window.remove_dock_widget(dock)
    for layer in opened:
        viewer.layers.remove(layer)
    assert len(viewer.layers) == before
