import numpy as np
import pytest
from PIL import Image as Picture

from graticule.report.curves import draw_training


def history(count=30, scores=True):
    return [
        {
            "phase": epoch // 12,
            "epoch": epoch,
            "loss": 3 * np.exp(-epoch / 8),
            "score": 1 - np.exp(-epoch / 6) if scores and epoch % 2 else None,
            "seconds": 11.0 * (epoch + 1),
            "best": bool(scores and epoch % 2 and epoch < 25),
        }
        for epoch in range(count)
    ]


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_is_written_in_the_format_of_its_name(tmp_path, suffix):
    path = tmp_path / f"training{suffix}"
    draw_training(history(), path, title="beads")
    begins = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    assert path.read_bytes().startswith(begins)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_says_what_its_axes_are(tmp_path):
    draw_training(history(), tmp_path / "training.svg")
    text = (tmp_path / "training.svg").read_text()
    for word in ("training loss", "F1 on held-out images", "epoch (5.5 minutes in all)"):
        assert word in text


UNSCORED = [{**line, "best": n == 8} for n, line in enumerate(history(9, scores=False))]
"""Of a task that holds nothing out: the last epoch was kept, and has no score."""


@pytest.mark.parametrize("epochs", [history(0), history(1), history(9, scores=False), UNSCORED])
def test_short_and_unexamined_trainings_are_drawn_too(tmp_path, epochs):
    draw_training(epochs, tmp_path / "training.png")
    with Picture.open(tmp_path / "training.png") as picture:
        assert picture.width > 500
