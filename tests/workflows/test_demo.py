import pytest

from graticule.checkpoint import Checkpoint
from graticule.errors import FormatError, SettingsError
from graticule.workflows.demo import Size, demo

TINY = Size(
    learn=4,
    held_out=2,
    size_px=256,
    settings={"epochs": (1,), "steps": 2, "batch": 2, "patch_px": 64, "width": 0.25, "neck_channels": 16},
)


def quiet(_):
    pass


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return demo("beads", tmp_path_factory.mktemp("demo") / "demo", size=TINY, say=quiet, device="cpu")


def test_everything_a_user_would_make_is_made(done):
    assert {path.name for path in done.out.iterdir()} == {
        "learn",
        "held-out",
        "model.safetensors",
        "training.png",
        "found",
        "evaluation",
        "run.json",
    }
    assert len(list((done.out / "found").glob("*/overlay.png"))) == 2
    assert len(list((done.out / "evaluation" / "overlays").iterdir())) == 2


def test_the_model_has_seen_none_of_the_images_it_is_judged_on(done):
    seen = set(Checkpoint.load(done.out / "model.safetensors").made_by["images"].values())
    assert len(seen) == 4
    assert not seen & set(done.evaluation.by_image)


def test_a_classical_method_is_judged_on_the_same_images(done):
    assert done.baseline is not None
    assert set(done.baseline.by_image) == set(done.evaluation.by_image)
    objects = {name: scores["tp"] + scores["fn"] for name, scores in done.evaluation.by_image.items()}
    assert objects == {name: scores["tp"] + scores["fn"] for name, scores in done.baseline.by_image.items()}


def test_an_earlier_demo_is_replaced_but_nothing_else(tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("graticule.workflows.demo.simulate", stopped)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            demo("beads", tmp_path / "demo", size=TINY, say=quiet)
        assert [path.name for path in (tmp_path / "demo").iterdir()] == ["run.json"]
        (tmp_path / "demo" / "stale.txt").write_text("")
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(FormatError, match="choose another"):
        demo("beads", tmp_path, size=TINY, say=quiet)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_a_task_that_cannot_be_shown_is_named(tmp_path):
    with pytest.raises(SettingsError, match="beads"):
        demo("baeds", tmp_path / "demo", size=TINY, say=quiet)
    assert not (tmp_path / "demo").exists()


def test_tissue_is_shown_in_volumes_with_dice_and_texture_beside(tmp_path):
    settings = {"channels": (4, 8), "epochs": 1, "steps": 2, "batch": 1}
    size = Size(learn=2, held_out=1, size_px=32, settings=settings)
    shown = demo("tissue", tmp_path / "demo", size=size, say=quiet, device="cpu")
    assert {path.name for path in (shown.out / "evaluation").iterdir()} >= {"scores.json", "scores.csv", "overlays"}
    assert 0 <= shown.evaluation.pooled["dice"] <= 1
    assert set(shown.baseline.by_image) == set(shown.evaluation.by_image)
    assert (shown.out / "learn" / "labels").is_dir()


def test_proposals_are_shown_as_well(tmp_path):
    settings = {"epochs": 1, "steps": 2, "batch": 2, "patch_px": 64, "channels": (4, 8, 8), "cell_px": 12.0}
    size = Size(learn=4, held_out=1, size_px=300, settings=settings)
    done = demo("rosettes", tmp_path / "demo", size=size, say=quiet, device="cpu")
    assert done.evaluation.curve is not None and done.baseline is not None
    assert (done.out / "evaluation" / "froc.png").is_file()
    (table,) = (done.out / "found").glob("*/objects.csv")
    assert table.read_text().splitlines()[0].endswith("confidence,area_um2,cells,cell_ids")
