from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graticule import io
from graticule.checkpoint import Checkpoint
from graticule.errors import CheckpointError
from graticule.image import Image
from graticule.results import Labels, Points
from graticule.review import Proposals
from graticule.simulate import RosetteScenes
from graticule.tasks import LABEL_FREE, LogBeads
from graticule.workflows.disagreement import begin_review, disagreement, doubts
from graticule.workflows.predict_files import Job, load_models, predict_file
from graticule.workflows.review import load_result, open_review
from tests.synthetic import scattered

TASK = LogBeads(classes=("6nm",), diameters_nm=(6,), match_nm=(5,), working_nm=0.6, thresholds=(0.3,))
REACH = 0.005


def proposals(example, extra=()) -> Proposals:
    places = np.vstack([example.truth.position_um, *[np.array([place]) for place in extra]])
    return Proposals.of(Points.marked(places, kinds=("6nm",)))


def test_members_agree_on_clear_objects_and_on_clear_nothing() -> None:
    example = scattered(1, shape=(128, 160))
    proposed = proposals(example, extra=[(0.001, 0.001)])
    doubt = disagreement(example.image, proposed, [Checkpoint(TASK)], within_um=REACH, views=[(0, False), (1, True)])
    assert len(doubt) == len(proposed.items) and max(doubt.values()) == 0


def test_what_half_the_models_find_is_in_most_doubt() -> None:
    example = scattered(2, shape=(128, 160))
    blind = Checkpoint(replace(TASK, thresholds=(1.0,)))
    doubt = disagreement(
        example.image, proposals(example), [Checkpoint(TASK), blind], within_um=REACH, views=[(0, False)]
    )
    assert min(doubt.values()) == max(doubt.values()) == 1.0


def test_an_outline_is_found_by_a_member_that_fills_most_of_it() -> None:
    rng = np.random.default_rng(0)
    pixels = np.where(np.arange(192)[None] < 96, 60, 180) + rng.normal(0, 5, (160, 192))
    image = Image(np.clip(pixels, 0, 255).astype(np.uint8), "yx", (0.04, 0.04))
    numbers = np.zeros(image.shape, np.uint8)
    numbers[40:100, 20:60], numbers[40:100, 120:160], numbers[120:150, 84:116] = 1, 2, 3
    centres = image.to_um(np.array([np.argwhere(numbers == n).mean(axis=0) for n in (1, 2, 3)]))
    proposed = Proposals.of(Points.marked(centres), Labels(replace(image, data=numbers)), [1, 2, 3])
    otsu = LABEL_FREE["tissue-otsu"]()
    nothing = replace(otsu, min_region_size=10**6)
    members = [Checkpoint(otsu), Checkpoint(nothing)]
    doubt = disagreement(image, proposed, members, within_um=1.0, views=[(0, False)])
    # Only the first finds the bright half, where outlines 2 and most of 3 lie; none finds anything in the dark half.
    assert doubt == {1: 0.0, 2: 1.0, 3: 1.0}


def test_no_proposals_are_in_no_doubt() -> None:
    example = scattered(3)
    nothing = Proposals.of(Points.none(2, ("6nm",)))
    assert disagreement(example.image, nothing, [Checkpoint(TASK)], within_um=REACH, views=[(0, False)]) == {}


@pytest.mark.parametrize("view", [(1, False), (2, True)])
def test_turned_views_find_what_the_image_shows_where_it_is(view: tuple) -> None:
    example = scattered(4, shape=(96, 128))
    plain = disagreement(
        example.image, proposals(example), [Checkpoint(TASK)], within_um=REACH, views=[(0, False), view]
    )
    assert max(plain.values()) == 0


def test_the_models_that_made_a_result_are_asked_again_and_others_are_not(tmp_path: Path) -> None:
    scenes = RosetteScenes(shape_px=(256, 256), show="cells")
    [example] = scenes.examples(1, seed=1)
    io.write(Labels(example.image), tmp_path / "cells.tif")
    file, method = tmp_path / "vertices.safetensors", LABEL_FREE["rosettes-vertices"]()
    Checkpoint(method).save(file)
    predict_file(tmp_path / "cells.tif", Job(models=load_models([file]), files=(file,), out=tmp_path / "out"))
    reviewed = load_result(tmp_path / "out" / "cells")
    assert len(reviewed.proposals.items) >= 1
    assert set(doubts(reviewed, device="cpu").values()) == {0.0}
    begin_review(reviewed.folder, who="ada", audit=0.0, ask=True)
    begin_review(reviewed.folder, who="ada", audit=0.9)
    with open_review(reviewed, who="ada") as session:
        assert session.order.audit == 0.0
        assert session.journal.read_text().count('"disagreement": [[') == 1
    Checkpoint(method, {"other": np.zeros(1)}).save(file)
    with pytest.raises(CheckpointError, match="another model"):
        doubts(reviewed)
