import pytest

from graticule.errors import DatasetError, SettingsError
from graticule.io.dataset import Dataset
from graticule.tasks import Beads, Tissue
from graticule.workflows.choose_settings import choose, file_settings, preset_settings, task_kind

PLAIN = Dataset("plain", (), ("6nm", "12nm"))
SIZED = Dataset("sized", (), ("6nm", "12nm"), {"6nm": 7.0, "12nm": 12.3})


def test_classes_and_diameters_come_from_the_dataset_where_none_are_given():
    assert choose(Beads, PLAIN, {}) == Beads(classes=("6nm", "12nm"))
    assert choose(Beads, SIZED, {}) == Beads(classes=("6nm", "12nm"), diameters_nm=(7.0, 12.3))
    assert choose(Beads, SIZED, {"diameters_nm": (6, 12)}).diameters_nm == (6.0, 12.0)
    assert choose(Beads, SIZED, {"classes": ("12nm",)}) == Beads(classes=("12nm",), diameters_nm=(12.3,))


def test_diameters_of_some_classes_only_are_refused():
    with pytest.raises(DatasetError, match="add 12nm"):
        choose(Beads, Dataset("half", (), ("6nm", "12nm"), {"6nm": 7.0}), {})


def test_what_was_typed_counts_for_more_than_the_file_and_that_for_more_than_the_preset(tmp_path):
    (tmp_path / "my.toml").write_text("steps = 3\nepochs = [7]\n")
    task = choose(Beads, PLAIN, {"epochs": (1,)}, preset="midasmap", file=tmp_path / "my.toml")
    assert (task.epochs, task.steps, task.encoder) == ((1,), 3, "resnet50")


def test_a_single_number_in_a_file_will_do_where_several_may_stand(tmp_path):
    (tmp_path / "my.toml").write_text("epochs = 3\nlearning_rate = 1\n")
    assert file_settings(Beads, tmp_path / "my.toml") == {"epochs": (3,), "learning_rate": 1.0}


def test_a_byte_order_mark_is_no_setting(tmp_path):
    (tmp_path / "my.toml").write_text("\ufeffsteps = 3\n", encoding="utf-8")
    assert file_settings(Beads, tmp_path / "my.toml") == {"steps": 3}


@pytest.mark.parametrize(
    ("text", "says"), [("setps = 3", "steps"), ("steps = 'x'", "steps"), ("steps: 3", "TOML"), ("steps = 2.5", "int")]
)
def test_a_wrong_file_is_refused_by_name(tmp_path, text, says):
    (tmp_path / "my.toml").write_text(text)
    with pytest.raises(SettingsError, match=says) as refusal:
        file_settings(Beads, tmp_path / "my.toml")
    assert "my.toml" in str(refusal.value)


def test_unknown_names_are_refused_with_the_nearest(tmp_path):
    with pytest.raises(SettingsError, match="midasmap"):
        preset_settings(Beads, "midasmpa")
    with pytest.raises(SettingsError, match="beads"):
        task_kind("bead")
    with pytest.raises(SettingsError, match=r"[Nn]o such file"):
        file_settings(Beads, tmp_path / "none.toml")


def test_every_preset_holds_valid_settings():
    from graticule.tasks import PRESETS, TASKS

    for task, presets in PRESETS.items():
        for name in presets:
            choose(TASKS[task], PLAIN, {}, preset=name)


def test_a_model_to_start_from_hands_on_what_its_weights_need_unless_told_otherwise():
    start = Tissue(channels=(4, 8), norm="instance", working_nm=(80.0,), epochs=3)
    task = choose(Tissue, PLAIN, {"norm": "batch"}, start=start)
    assert (task.channels, task.norm, task.working_nm, task.epochs) == ((4, 8), "batch", (80.0,), Tissue().epochs)
    assert choose(Beads, PLAIN, {}, start=Beads(encoder="resnet50")) == choose(Beads, PLAIN, {})
