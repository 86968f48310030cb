import numpy as np
import pytest
from PIL import Image as Picture

from graticule.image import Image
from graticule.report.outlines import draw_outlines


def scene(shape):
    yy, xx = np.indices(shape[-2:])
    disc = (yy - shape[-2] / 2) ** 2 + (xx - shape[-1] / 2) ** 2 < (min(shape[-2:]) / 3) ** 2
    mask = np.broadcast_to(disc, shape).astype(np.uint8)
    grey = (120 + 60 * mask + np.random.default_rng(0).normal(0, 9, shape)).astype(np.uint8)
    axes = "zyx"[-len(shape) :]
    return tuple(Image(data, axes, (0.01,) * len(shape)) for data in (grey, mask, mask * np.uint8(200)))


@pytest.mark.parametrize("shape", [(300, 400), (1, 90, 1300), (12, 200, 150), (3, 2)])
def test_a_picture_is_made_of_planes_and_volumes(tmp_path, shape):
    image, mask, confidence = scene(shape)
    draw_outlines(image, mask, tmp_path / "o.png", kinds=("tissue",), confidence=confidence, title="a volume")
    with Picture.open(tmp_path / "o.png") as picture:
        assert picture.width > 200
        assert np.asarray(picture).std() > 5


def test_the_outline_is_drawn_where_the_mask_ends(tmp_path):
    image, mask, _ = scene((300, 300))
    draw_outlines(image, mask, tmp_path / "with.png")
    draw_outlines(image, Image(np.zeros((300, 300), np.uint8), "yx", (0.01, 0.01)), tmp_path / "without.png")
    pictures = [np.asarray(Picture.open(tmp_path / f"{name}.png")).astype(int) for name in ("with", "without")]
    changed = np.abs(pictures[0] - pictures[1]).sum(axis=2) > 30
    assert 0.001 < changed.mean() < 0.1


def test_objects_that_touch_have_outlines_of_their_own(tmp_path):
    image, mask, _ = scene((300, 300))
    halves = np.asarray(mask.data) * (1 + (np.indices((300, 300))[1] > 150)).astype(np.uint8)
    draw_outlines(image, mask, tmp_path / "one.png")
    draw_outlines(image, Image(halves, "yx", (0.01, 0.01)), tmp_path / "two.png")
    one, two = (np.asarray(Picture.open(tmp_path / f"{name}.png")).astype(int) for name in ("one", "two"))
    rows, columns = np.nonzero(np.abs(one - two).sum(axis=2) > 30)
    assert np.ptp(rows) > 150 and np.ptp(columns) < 20, "a line from top to bottom between the halves"


def test_a_coarser_mask_is_drawn_on_the_image(tmp_path):
    image, mask, confidence = scene((12, 200, 240))
    coarse = Image(mask.data[::2, ::2, ::2], "zyx", (0.02,) * 3)
    draw_outlines(
        image, coarse, tmp_path / "o.png", confidence=Image(confidence.data[::2, ::2, ::2], "zyx", (0.02,) * 3)
    )
    assert (tmp_path / "o.png").stat().st_size > 10_000


def test_several_classes_and_their_confidences(tmp_path):
    image, mask, _ = scene((200, 300))
    labels = np.asarray(mask.data) + (np.indices((200, 300))[1] > 250)
    both = np.stack([labels == 1, labels == 2]).astype(np.uint8) * 255
    draw_outlines(
        image,
        Image(labels, "yx", (0.01, 0.01)),
        tmp_path / "o.png",
        kinds=("tissue", "resin"),
        confidence=Image(both, "cyx", (0.01, 0.01)),
    )
    assert (tmp_path / "o.png").exists()
