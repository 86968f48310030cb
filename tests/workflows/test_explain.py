import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL.Image import open as open_picture

pytest.importorskip("captum")

from graticule import io
from graticule.box import Box
from graticule.checkpoint import Checkpoint
from graticule.errors import CheckpointError, FormatError, SettingsError
from graticule.image import Image
from graticule.nets.explainer import Effort
from graticule.nets.forward import weights_of
from graticule.tasks.beads import Beads
from graticule.tasks.tissue import Tissue
from graticule.workflows.explain import (
    LARGEST,
    SMALLEST,
    Question,
    Subject,
    _ends,
    _promising,
    cells_of,
    deepest,
    explain,
    explain_file,
    window_of,
)
from graticule.workflows.predict import set_up
from tests.synthetic import scattered

QUICK = Effort(steps=4, patch=64)
ASKED = Question(objects=2, effort=QUICK, device="cpu")
SPACING = (0.05, 0.05)


def outlining(thresholds=(0.5,), dimensions=2, **more) -> Checkpoint:
    """A model that calls bright voxels tissue: a U-Net whose short way past all levels was set by hand."""
    import torch

    task = Tissue(
        classes=("tissue",),
        dimensions=dimensions,
        working_nm=(50.0,) * dimensions,
        thresholds=thresholds,
        channels=(4, 8),
        **more,
    )
    torch.manual_seed(1)
    network = task.network()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return Checkpoint(task, weights_of(network))


def blobs(shape=(200, 220), spots=((60, 60), (60, 160), (150, 110)), radius=14) -> Image:
    """Bright discs or balls on dark ground, with noise."""
    rng = np.random.default_rng(0)
    grids = np.meshgrid(*map(np.arange, shape), indexing="ij")
    image = rng.normal(60, 5, shape)
    for spot in spots:
        far = np.sqrt(sum((g - s) ** 2 for g, s in zip(grids, spot, strict=True)))
        image[far <= radius] += 100
    return Image(np.clip(image, 0, 255).astype(np.uint8), "zyx"[-len(shape) :], (0.05,) * len(shape))


@pytest.fixture(scope="module")
def learnt(tmp_path_factory) -> Checkpoint:
    """A U-Net that has learnt in seconds that bright is tissue."""
    from graticule.example import Example
    from graticule.results import Labels
    from graticule.workflows.train import train

    examples = []
    for n, spots in enumerate((((50, 50), (120, 100)), ((90, 40), (40, 120)))):
        image = blobs((160, 160), spots)
        examples.append(Example(f"blobs-{n}", image, Labels(replace(image, data=(np.asarray(image.data) > 110) * 1))))
    task = Tissue(channels=(4, 8), epochs=6, steps=6, batch=2, patch_px=(64,), learning_rate=2e-2, average=0.0)
    return train(task, examples, tmp_path_factory.mktemp("learnt") / "m.safetensors", device="cpu")


@pytest.fixture(scope="module")
def explained(learnt, tmp_path_factory):
    """The folder of reasons for two of three discs, and what was told."""
    folder = tmp_path_factory.mktemp("explained")
    io.write(blobs(), folder / "discs.tif")
    learnt.save(folder / "m.safetensors")
    out, told = explain_file(folder / "discs.tif", folder / "m.safetensors", folder / "out", ASKED, say=lambda _: None)
    return out, told


def test_the_most_and_the_least_certain_objects_are_explained(explained):
    _, told = explained
    assert [one.why for one in told] == ["most certain", "least certain"]
    assert told[0].confidence >= told[1].confidence > 0.4
    for one in told:
        place = np.array(one.position_um) / 0.05
        assert min(np.hypot(*(place - spot)) for spot in ((60, 60), (60, 160), (150, 110))) < 4
        assert one.outline.sum() == pytest.approx(np.pi * 14**2, rel=0.3)


def test_what_is_written_is_whole_and_has_its_units(explained):
    out, told = explained
    names = {path.name for path in out.iterdir()}
    assert {"reasons.html", "run.json", "objects.csv", "object-1.png", "object-2.png"} <= names
    for what in ("integrated-gradients", "occlusion", "grad-cam", "window"):
        values = io.read(out / f"object-1-{what}.tif")
        assert values.shape == told[0].shown.shape
        assert values.spacing_um == pytest.approx(SPACING)
    assert np.array_equal(io.read(out / "object-2-occlusion.tif").data[...], told[1].reasons.occluded)
    with open_picture(out / "object-1.png") as picture:
        assert picture.size[0] > 1000


def test_the_table_holds_what_the_maps_can_be_checked_by(explained):
    out, told = explained
    with (out / "objects.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row, one in zip(rows, told, strict=True):
        assert float(row["difference"]) == pytest.approx(
            float(row["logit"]) - float(row["logit_of_baseline"]), rel=1e-3
        )
        total = io.read(out / f"object-{row['object']}-integrated-gradients.tif").data[...].sum()
        assert float(row["sum_of_integrated_gradients"]) == pytest.approx(float(total), rel=1e-3, abs=1e-4)
        assert one.figures["missing_share"] < 0.2


def test_the_page_says_what_it_cannot_show_and_fetches_nothing(explained):
    page = (explained[0] / "reasons.html").read_text()
    assert "They do not show why it is" in page and "Adebayo" in page and "Captum" in page
    assert all(address.startswith("data:") for address in re.findall(r'(?:src|href)="([^"]*)"', page))


def test_run_says_how_it_was_made(explained):
    run = json.loads((explained[0] / "run.json").read_text())
    assert run["command"] == "explain" and run["effort"]["steps"] == 4
    assert run["models"][0]["sha256"] and run["image"]["sha256"]


def test_the_window_alone_gives_the_confidence_of_the_whole_image(explained):
    for one in explained[1]:
        assert one.alone == pytest.approx(one.confidence, abs=0.02)


def test_the_same_object_has_the_same_maps_twice(explained, learnt, tmp_path):
    again = explain(blobs(), learnt, tmp_path, ASKED, say=lambda _: None)
    for one, other in zip(explained[1], again, strict=True):
        assert np.array_equal(one.reasons.gradients, other.reasons.gradients)
        assert np.array_equal(one.reasons.occluded, other.reasons.occluded)


def test_an_answer_hangs_on_the_object_and_not_on_the_one_beside_it(explained):
    one = explained[1][0]
    inside = np.abs(one.reasons.gradients)[one.outline].mean()
    elsewhere = np.abs(one.reasons.gradients)[~one.outline].mean()
    assert inside > 20 * elsewhere


# -- places ------------------------------------------------------------------------------------------------------------


def test_a_place_means_the_object_there_and_without_one_the_voxel(learnt, tmp_path):
    question = replace(ASKED, at_um=(150 * 0.05, 112 * 0.05, 100 * 0.05, 20 * 0.05))
    there, nowhere = explain(blobs(), learnt, tmp_path, question, say=lambda _: None)
    assert there.why == "asked for" and there.outline.sum() > 100
    assert nowhere.why == "asked for; nothing was found here"
    assert nowhere.outline.sum() == 1 and nowhere.confidence is None
    assert nowhere.reasons.answer < there.reasons.answer
    assert np.array_equal(np.argwhere(nowhere.outline)[0], np.round((np.array((5.0, 1.0)) - nowhere.origin_um) / 0.05))


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ((1.0,), "need 2 for each place"),
        ((1.0, 500.0), "need a place in the image"),
        ((-1.0, 1.0), "µm"),
        ((np.nan, 1.0), "finite"),
    ],
)
def test_places_that_are_none_are_refused(learnt, tmp_path, at, said):
    with pytest.raises(SettingsError, match=said):
        explain(blobs(), learnt, tmp_path, replace(ASKED, at_um=at), say=lambda _: None)


def test_where_nothing_is_found_that_is_said(learnt, tmp_path):
    never = replace(learnt, task=replace(learnt.task, thresholds=(1.0,), min_region_um=100.0))
    with pytest.raises(FormatError, match="nothing to explain; name a place with --at"):
        explain(blobs(), never, tmp_path, ASKED, say=lambda _: None)


def test_a_method_without_a_network_has_no_reasons_to_give(tmp_path):
    with pytest.raises(CheckpointError, match="without a network"):
        explain_file(tmp_path / "x.tif", io.Path("tissue-texture"), tmp_path / "out", ASKED)


# -- points and volumes ------------------------------------------------------------------------------------------------


def test_points_are_explained_at_their_peaks(tmp_path):
    """By a network that has learnt nothing and finds something everywhere."""
    import torch

    task = Beads(
        classes=("6nm", "12nm"),
        diameters_nm=(6.0, 12.0),
        match_nm=(5.0, 8.0),
        working_nm=0.6,
        thresholds=(0.3, 0.3),
        width=0.125,
        neck_channels=8,
        neck_rounds=1,
        head_channels=8,
    )
    torch.manual_seed(3)
    network = task.network()
    torch.nn.init.normal_(network.heatmap[-1].weight, std=3.0)
    torch.nn.init.zeros_(network.heatmap[-1].bias)
    image = scattered(60, shape=(150, 170), count=8, gap_px=32).image
    [one] = explain(
        image, Checkpoint(task, weights_of(network)), tmp_path, replace(ASKED, objects=1), say=lambda _: None
    )
    assert one.outline.sum() == 1
    assert 1 / (1 + np.exp(-one.reasons.answer)) == pytest.approx(one.confidence, abs=0.02)
    assert one.alone == pytest.approx(one.confidence, abs=0.02)


def test_of_a_volume_the_window_is_one_and_the_plane_goes_through_the_object(tmp_path):
    model = outlining(thresholds=(0.0,), dimensions=3)
    image = blobs((20, 60, 60), spots=((10, 30, 30),), radius=6)
    question = replace(ASKED, at_um=(10 * 0.05, 30 * 0.05, 30 * 0.05))
    [one] = explain(image, model, tmp_path, question, say=lambda _: None)
    assert one.shown.ndim == 3 and one.plane is not None
    assert one.outline[one.plane].any()
    assert io.read(tmp_path / "object-1-occlusion.tif").axes == "zyx"


# -- parts -------------------------------------------------------------------------------------------------------------


def subject(confidence, size=(10, 10), cut=False, start=(0, 0)):
    box = Box(start, tuple(a + n for a, n in zip(start, size, strict=True)))
    return Subject(kind=0, position_um=np.zeros(2), confidence=confidence, box=box, voxels=np.ones(size, bool), cut=cut)


def test_whole_objects_come_before_parts_and_specks():
    found = [subject(0.9), subject(0.99, cut=True), subject(0.1, size=(2, 2)), subject(0.6), subject(0.7)]
    assert [one.confidence for one in _ends(found, 3)] == [0.9, 0.7, 0.6]
    assert [one.confidence for one in _ends(found, 4)] == [0.99, 0.9, 0.6, 0.7]
    assert [one.confidence for one in _ends(found, 9)] == [0.99, 0.9, 0.7, 0.6, 0.1]
    assert _ends([], 3) == []


def test_few_are_remembered_and_they_are_those_that_would_be_chosen():
    rng = np.random.default_rng(0)
    found = [
        subject(float(c), size=(int(n), 5), cut=bool(n % 2))
        for c, n in zip(rng.random(300), rng.integers(1, 20, 300), strict=True)
    ]
    kept = []
    for one in found:
        kept = _promising([*kept, one], 4)
        assert len(kept) <= 3 * 2 * 4
    assert [one.confidence for one in _ends(kept, 4)] == [one.confidence for one in _ends(found, 4)]


def test_the_middle_of_an_object_lies_in_it():
    ring = np.ones((21, 21), bool)
    ring[5:16, 5:16] = False
    ring[:, :2] = False
    assert ring[tuple(deepest(ring))]
    assert tuple(deepest(np.ones((5, 9), bool))) in {(2, x) for x in range(2, 7)}


def test_windows_are_bounded_whatever_the_object_and_begin_on_the_grid():
    setup = set_up(blobs((700, 900)), [outlining()], device="cpu")
    small, large = (
        replace(subject(0.5, size=size, start=(300, 300)), position_um=np.array((16.0, 16.0)))
        for size in ((9, 9), (390, 590))
    )
    for one, bounds in ((small, SMALLEST), (large, LARGEST)):
        window, pixels = window_of(setup, one)
        assert window.shape == (bounds[2],) * 2
        assert pixels.shape == (1, *window.shape)
    edge = replace(small, position_um=np.array((0.1, 44.9)))
    window, _ = window_of(setup, edge)
    assert window.start[0] == 0 and window.stop[1] == 900, "moved into the image"


def test_a_network_without_padding_is_asked_for_the_right_cell():
    """Cells of windows of 24, two voxels apart: the first has its middle 11.5 voxels in."""

    class Half:
        grid = type("Grid", (), {"stride": 2})

    logits = np.zeros((1, 21, 21), np.float32)
    one = Subject(
        kind=0,
        position_um=np.zeros(2),
        confidence=None,
        box=Box((31, 33), (32, 34)),
        voxels=np.ones((1, 1), bool),
        point=True,
    )
    cells = cells_of(logits, Box((0, 0), (64, 64)), one, Half())
    assert np.argwhere(cells).tolist() == [[round((31 - 11.5) / 2), round((33 - 11.5) / 2)]]
