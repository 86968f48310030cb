import pytest

from graticule.io import dataset_yaml
from graticule.io.dataset_yaml import Header


def read(folder, text):
    (folder / "dataset.yaml").write_text(text, encoding="utf-8")
    return dataset_yaml.read(folder)


def faults(folder, text):
    return [str(error) for error in read(folder, text)[1]]


def test_a_file_that_is_not_there_says_nothing(tmp_path):
    assert dataset_yaml.read(tmp_path) == (Header(tmp_path.name), [])
    assert read(tmp_path, "") == (Header(tmp_path.name), [])


def test_what_it_says_is_read(tmp_path):
    header, wrong = read(
        tmp_path,
        """
        name: gold
        task: particle detection (2D)
        axes: ZYX
        pixel_size_um: [1.75, 0.8, 0.8]
        pixel_size_um_by_image: {S8: 0.5}
        classes: [6nm, 12nm]
        diameters_nm: {6nm: 6, 12nm: 12.5}
        unannotated: {18nm: 18}
        groups: {mouse: [S1, S8]}
        split: {train: [S1, S8], test: []}
        points_unit: um
        channel: 0
        licence: none
        files: {points: clicked}
        caveats: [few]
        """,
    )
    assert not wrong
    assert header == Header(
        "gold",
        "zyx",
        (1.75, 0.8, 0.8),
        {"S8": (0.5,)},
        ("6nm", "12nm"),
        {"6nm": 6, "12nm": 12.5},
        {"18nm": 18},
        {"mouse": ("S1", "S8")},
        {"train": ("S1", "S8"), "test": ()},
        "um",
        "0",
    )


def test_writing_then_reading_gives_the_same(tmp_path):
    header = Header("gold µ", pixel_size_um=(0.1, 0.2), classes=("6nm",), groups={"01": ("01",)}, split={"a": ("01",)})
    dataset_yaml.write(header, tmp_path)
    assert dataset_yaml.read(tmp_path) == (header, [])


def test_an_unknown_key_is_refused_with_the_nearest(tmp_path):
    (fault,) = faults(tmp_path, "pixelsize_um: 0.1\n")
    assert fault.endswith("did you mean pixel_size_um?")
    assert "dataset.yaml: found key 'pixelsize_um'" in fault


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("pixel_size_um: 0", "need positive numbers"),
        ("pixel_size_um: [1, -1]", "need positive numbers"),
        ("pixel_size_um: .nan", "need positive numbers"),
        ("pixel_size_um: 5 nm", "need positive numbers"),
        ("pixel_size_um: [1, 1, 1, 1]", "need one number in µm, or one per axis"),
        ("axes: [y, x]", "need a name"),
        ("axes: TYX", "need YX or ZYX"),
        ("classes: 6nm", "need a list of names"),
        ("classes: [a, a]", "need each name once"),
        ("groups: [S1]", "need names with a value each"),
        ("groups: {mouse: S1}", "need a list of names"),
        ("points_unit: mm", "need one of um, nm, px"),
        ("diameters_nm: [6]", "need names with a value each"),
        ("unannotated: [18nm]", "need names with a value each"),
    ],
)
def test_impossible_values_are_refused(tmp_path, line, found):
    (fault,) = faults(tmp_path, line)
    assert found in fault
    assert line.split(":")[0] in fault


@pytest.mark.parametrize("text", ["a: [", "- a\n- b", "just words", "a: b: c", "\x00"])
def test_what_is_no_settings_file_is_one_fault(tmp_path, text):
    (fault,) = faults(tmp_path, text)
    assert "dataset.yaml: found" in fault
    assert "\n" not in fault


def test_all_faults_are_told_at_once(tmp_path):
    text = """
    nam: gold
    axes: QYX
    classes: [a]
    diameters_nm: {b: 1}
    unannotated: {a: 3}
    groups: {one: [S1, S2], two: [S2]}
    split: {train: [S1], test: [S2]}
    """
    found = "\n".join(faults(tmp_path, text))
    for part in (
        "did you mean name?",
        "need YX or ZYX",
        "class in diameters_nm 'b'",
        "found a in classes and in unannotated",
        "found S2 in groups one and two",
        "found group one divided between train and test",
    ):
        assert part in found


def test_an_image_in_two_parts_of_a_split_is_a_fault(tmp_path):
    assert "found S1 in train and test" in faults(tmp_path, "split: {train: [S1], test: [S1]}")[0]
