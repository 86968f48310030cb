from dataclasses import fields, replace

import numpy as np
import pytest

from graticule.checkpoint import Checkpoint
from graticule.errors import CheckpointError
from graticule.image import Image
from graticule.metrics.detection import match
from graticule.workflows.predict import predict, predict_maps, within
from tests.synthetic import SPACING_UM, discs, scattered

KINDS = ("6nm", "12nm")
SIZES = [(100, 100), (511, 513), (512, 512), (2115, 2048), (3000, 700)]


def with_tiles(model, side):
    """The same model, made to work in tiles of at most `side` pixels, and to keep what it half believes.

    A network that learnt for seconds is unsure of beads cut by the image's corners; coverage is what is tested here.
    """

    class SmallTiles(type(model.task)):
        @property
        def grid(self):
            return replace(super().grid, tile=(side, side))

    settings = {f.name: getattr(model.task, f.name) for f in fields(model.task)}
    return Checkpoint(SmallTiles(**{**settings, "thresholds": (0.15, 0.15)}), model.weights)


def lattice(shape, step=48):
    """Beads of both kinds all over an image, one at each corner and along every edge, at uneven sub-pixel places."""
    ys = np.linspace(3, shape[0] - 4, max(2, shape[0] // step))
    xs = np.linspace(3, shape[1] - 4, max(2, shape[1] // step))
    centres = np.stack(np.meshgrid(ys, xs, indexing="ij"), axis=-1).reshape(-1, 2)
    kind = np.arange(len(centres)) % 2
    return discs(centres, shape, kind=kind, kinds=KINDS, diameter_px=(10.0, 20.0))


@pytest.mark.parametrize("shape", SIZES)
def test_every_bead_is_found_and_where_one_pass_over_the_whole_image_finds_it(disc_model, shape):
    example = lattice(shape)
    whole = predict(example.image, with_tiles(disc_model, 8192), device="cpu")
    tiled = predict(example.image, with_tiles(disc_model, 512), device="cpu")
    for found in (tiled, whole):
        assert disc_model.task.score([found], [example])["recall"] == 1.0
    assert strays(tiled, whole) == strays(whole, tiled) == 0


def test_the_halo_covers_all_that_a_cell_sees(disc_model):
    image = lattice((1100, 700)).image
    whole, tiled = (predict_maps(image, [with_tiles(disc_model, side)], device="cpu").data for side in (8192, 256))
    assert np.abs(whole - tiled).max() < 1e-3


def strays(found, others, clearly=0.2):
    """How many of `found`, clearly above the threshold of 0.15, have no partner of their class within half a pixel."""
    sure = found[found.confidence > clearly]
    partners = [match(sure.of_kind(k).position_um, others.of_kind(k).position_um, 0.5 * SPACING_UM)[0] for k in KINDS]
    return len(sure) - sum(map(len, partners))


def test_an_image_smaller_than_a_tile_is_searched_to_its_edges(disc_model):
    example = discs([[3, 3], [20, 30]], (33, 41), kind=[0, 0], kinds=KINDS, diameter_px=(10.0, 20.0))
    found = predict(example.image, with_tiles(disc_model, 512), device="cpu")
    assert disc_model.task.score([found], [example])["recall"] == 1.0


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.6])
def test_another_magnification_gives_the_same_beads_in_um(disc_model, factor):
    shape = (round(200 / factor), round(280 / factor))
    centres = np.array([[40, 60], [150, 200], [30, 250], [170, 40]]) / factor
    example = discs(
        centres,
        shape,
        kind=[0, 1, 1, 0],
        kinds=KINDS,
        diameter_px=(10 / factor, 20 / factor),
        spacing_um=SPACING_UM * factor,
    )
    found = predict(example.image, disc_model, device="cpu")
    assert disc_model.task.score([found], [example])["f1"] == 1.0
    i, j = match(found.position_um, example.truth.position_um, within_um=2 * SPACING_UM)
    assert len(i) == 4


def test_symmetry_averaging_works_on_oblong_images(disc_model):
    example = lattice((150, 310))
    model = with_tiles(disc_model, 128)
    plain = predict(example.image, model, device="cpu")
    averaged = predict(example.image, model, tta=True, device="cpu")
    # A network that learnt for seconds is not as sure of every turned view.
    assert disc_model.task.score([averaged], [example])["recall"] > 0.9
    # A shift by half a cell would be half a pixel to a pixel.
    assert mean_error_px(averaged, example) < mean_error_px(plain, example) + 0.1


def mean_error_px(found, example):
    i, j = match(found.position_um, example.truth.position_um, within_um=6 * SPACING_UM)
    gaps = found.position_um[i] - example.truth.position_um[j]
    return np.hypot(*gaps.T).mean() / SPACING_UM


def test_sixteen_bit_and_float_images_give_the_same_beads(disc_model):
    example = scattered(11, shape=(160, 160), count=9, gap_px=30, kinds=KINDS)
    grey = np.asarray(example.image.data)
    places = [
        predict(replace(example.image, data=data), disc_model, device="cpu").position_um
        for data in (grey, grey.astype(np.uint16) * 257, (grey / 255).astype(np.float32))
    ]
    assert len(places[0]) == 9
    for other in places[1:]:
        assert np.allclose(places[0], other, atol=0.1 * SPACING_UM)


def test_the_same_model_twice_is_an_ensemble_that_finds_the_same(disc_model):
    image = scattered(12, shape=(160, 160), count=9, gap_px=30, kinds=KINDS).image
    one, two = predict(image, disc_model, device="cpu"), predict(image, [disc_model, disc_model], device="cpu")
    assert np.allclose(one.position_um, two.position_um)


def test_models_of_different_classes_are_no_ensemble(disc_model):
    other = Checkpoint(replace(disc_model.task, classes=("a", "b")), disc_model.weights)
    with pytest.raises(CheckpointError, match="ensemble"):
        predict(scattered(0).image, [disc_model, other], device="cpu")


def test_an_image_without_beads_gives_none_without_a_fuss(disc_model):
    blank = Image(np.random.default_rng(0).normal(180, 3, (90, 130)), "yx", (SPACING_UM, SPACING_UM))
    assert len(predict(blank, disc_model, device="cpu")) == 0


def test_a_constant_image_gives_none(disc_model):
    assert (
        len(predict(Image(np.full((64, 64), 9, np.uint8), "yx", (SPACING_UM, SPACING_UM)), disc_model, device="cpu"))
        == 0
    )


def test_a_centre_on_the_outermost_pixel_is_on_the_image_one_beyond_is_not():
    example = discs([[-0.4, 5], [-0.6, 5], [95.4, 5], [95.6, 5]])
    assert len(within(example.truth, example.image)) == 2
