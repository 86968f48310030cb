import numpy as np
import PIL.Image
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from graticule import io
from graticule.errors import AnnotationError, DatasetError, FormatError, GraticuleError, SpacingError
from graticule.example import Example
from graticule.image import Image
from graticule.io import dataset
from graticule.results import Labels, Points

PIXELS = np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)
IMAGE = Image(PIXELS, "yx", (0.1, 0.1))


@pytest.fixture
def folder(tmp_path):
    """Two annotated images of 40 × 50 pixels of 0.1 µm, with two classes."""
    home = tmp_path / "beads"
    for name in ("S1", "S2"):
        io.write(IMAGE, home / "images" / f"{name}.tif")
    write(home / "points" / "S1.csv", "x_px,y_px,class\n3,4,6nm\n5,6,12nm\n")
    write(home / "points" / "S2.csv", "x_px,y_px,class\n")
    write(home / "dataset.yaml", "classes: [6nm, 12nm]\n")
    return home


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_volumes_may_be_folders_of_chunks(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 3, (4, 30, 40), np.uint8)
    for room in ("images", "labels", "masks"):
        io.write(Image(voxels > 1 if room == "masks" else voxels, "zyx", (0.1, 0.1, 0.1)), tmp_path / room / "S1.zarr")
    io.write(Image(voxels, "zyx", (0.1, 0.1, 0.1)), tmp_path / "images" / "S2.h5")
    io.write(Labels(Image(voxels, "zyx", (0.1, 0.1, 0.1))), tmp_path / "labels" / "S2.ome.zarr")
    first, second = dataset.load(tmp_path).examples
    assert (first.name, second.name) == ("S1", "S2")
    assert np.array_equal(first.image.data[...], voxels)
    assert np.array_equal(second.truth.image.data[...], voxels)
    io.write(Image(voxels, "zyx", (0.1, 0.1, 0.1)), tmp_path / "masks" / "S2.zarr")
    with pytest.raises(AnnotationError, match="found 3 different values"):
        dataset.load(tmp_path)


def test_a_folder_becomes_examples(folder):
    beads = dataset.load(folder)
    assert beads.name == "beads"
    assert [example.name for example in beads.examples] == ["S1", "S2"]
    assert [example.specimen for example in beads.examples] == ["S1", "S2"]
    first, second = (example.truth for example in beads.examples)
    assert first.position_um == pytest.approx(np.array([[0.4, 0.3], [0.6, 0.5]]))
    assert first.kinds == second.kinds == beads.classes == ("6nm", "12nm")
    assert len(second) == 0
    assert dataset.problems(folder) == ()


def test_all_examples_share_one_table_of_classes_whichever_occur_in_them(folder):
    (folder / "dataset.yaml").unlink()
    write(folder / "points" / "S2.csv", "x_px,y_px,class\n1,1,18nm\n1,1,6nm\n")
    beads = dataset.load(folder)
    assert beads.classes == ("6nm", "12nm", "18nm")
    assert all(example.truth.kinds == beads.classes for example in beads.examples)
    assert [beads.classes[k] for k in beads.examples[1].truth.kind] == ["18nm", "6nm"]


def test_one_class_needs_no_column(folder):
    write(folder / "points" / "S1.csv", "x_px,y_px\n3,4\n")
    write(folder / "dataset.yaml", "classes: [centriole]\n")
    assert dataset.load(folder).classes == ("centriole",)
    (folder / "dataset.yaml").unlink()
    assert dataset.load(folder).classes == ("object",)


def test_what_the_header_says_reaches_the_dataset(folder):
    write(
        folder / "dataset.yaml",
        "name: gold\nclasses: [6nm, 12nm]\ndiameters_nm: {6nm: 6}\nunannotated: {18nm: 18}\n"
        "groups: {mouse: [S1, S2]}\nsplit: {train: [S1, S2]}\n",
    )
    gold = dataset.load(folder)
    assert (gold.name, gold.diameters_nm, gold.unannotated) == ("gold", {"6nm": 6}, {"18nm": 18})
    assert gold.split == {"train": ("S1", "S2")}
    assert [example.specimen for example in gold.examples] == ["mouse", "mouse"]


# -- pixel size --------------------------------------------------------------------------------------------------------


def png(folder):
    """The same dataset in files that know no pixel size."""
    for path in sorted((folder / "images").iterdir()):
        PIL.Image.fromarray(PIXELS).save(path.with_suffix(".png"))
        path.unlink()


def spacings(folder, **given):
    return [example.image.spacing_um for example in dataset.load(folder, **given).examples]


def test_the_argument_counts_more_than_the_header_and_the_header_more_than_nothing(folder):
    assert spacings(folder) == [(0.1, 0.1)] * 2
    png(folder)
    write(folder / "dataset.yaml", "pixel_size_um: 0.2\npixel_size_um_by_image: {S2: [0.3, 0.4]}\n")
    assert spacings(folder) == [(0.2, 0.2), (0.3, 0.4)]
    assert spacings(folder, spacing_um=(0.5,)) == [(0.5, 0.5)] * 2


def test_header_and_file_may_differ_by_a_percent(folder):
    write(folder / "dataset.yaml", "pixel_size_um: [0.1005, 0.1]\n")
    assert spacings(folder) == [(0.1005, 0.1)] * 2
    write(folder / "dataset.yaml", "pixel_size_um: 0.102\n")
    message = r"found a pixel size of 0\.1 × 0\.1 µm in the file .*dataset\.yaml says 0\.102 × 0\.102 µm"
    with pytest.raises(DatasetError, match=message):
        dataset.load(folder)
    assert spacings(folder, spacing_um=(0.5,)) == [(0.5, 0.5)] * 2


def test_a_missing_size_is_told_once_for_all_images(folder):
    png(folder)
    with pytest.raises(SpacingError, match=r"2 of 2 images without a usable pixel size \(S1, S2\).*--spacing-um"):
        dataset.load(folder)


# -- annotation --------------------------------------------------------------------------------------------------------


def test_bare_columns_need_a_unit_from_the_header_or_the_user(folder):
    write(folder / "points" / "S1.csv", "x,y,class\n3,2,6nm\n")
    with pytest.raises(AnnotationError, match=r"S1\.csv: .*--points-unit"):
        dataset.load(folder)
    assert dataset.load(folder, points_unit="px").examples[0].truth.position_um == pytest.approx(np.array([[0.2, 0.3]]))
    write(folder / "dataset.yaml", "points_unit: um\n")
    assert dataset.load(folder).examples[0].truth.position_um == pytest.approx(np.array([[2, 3]]))


def test_a_laboratory_s_tables_one_per_class_are_joined(folder):
    for path in (folder / "points").iterdir():
        path.unlink()
    for name in ("S1", "S2"):
        write(folder / "points" / f"{name}_6nm.csv", " ,X,Y\n1,0.3,0.4\n2,0.5,0.6\n")
        write(folder / "points" / f"{name}_12nm.csv", " ,X,Y\n1,1.3,1.4\n")
    for header in ("classes: [6nm, 12nm]\npoints_unit: um\n", "points_unit: um\n"):
        write(folder / "dataset.yaml", header)
        beads = dataset.load(folder)
        assert beads.classes == ("6nm", "12nm")
        truth = beads.examples[0].truth
        assert len(truth.of_kind("6nm")) == 2
        assert truth.of_kind("12nm").position_um == pytest.approx(np.array([[1.4, 1.3]]))
    (folder / "points" / "S2_12nm.csv").unlink()
    with pytest.raises(AnnotationError, match=r"found no table of 12nm for image S2.*add S2_12nm\.csv"):
        dataset.load(folder)


def test_a_name_that_begins_another_does_not_own_its_tables(folder):
    io.write(IMAGE, folder / "images" / "S1_b.tif")
    write(folder / "points" / "S1_b_6nm.csv", "x_px,y_px\n1,2\n")
    write(folder / "points" / "S1_b_12nm.csv", "x_px,y_px\n")
    assert len(dataset.load(folder).examples[1].truth) == 1


def test_imagej_s_selections_are_points_too(folder):
    before = dataset.load(folder).examples[0]
    (folder / "points" / "S1.csv").unlink()
    io.write(before.truth, folder / "points" / "S1.zip", on=before.image)
    after = dataset.load(folder).examples[0].truth
    assert after.position_um == pytest.approx(before.truth.position_um, abs=1e-6)
    assert after.kind.tolist() == before.truth.kind.tolist()


def test_labels_are_truth_as_well_and_asked_for_by_name_where_both_are(folder):
    for name in ("S1", "S2"):
        io.write(Image((PIXELS > 99).astype(np.uint16), "yx", (1, 1)), folder / "labels" / f"{name}.tif")
    assert isinstance(dataset.load(folder).examples[0].truth, Points)
    truth = dataset.load(folder, truth="labels").examples[0].truth
    assert isinstance(truth, Labels)
    assert truth.image.spacing_um == (0.1, 0.1)
    assert np.array_equal(truth.image.data, PIXELS > 99)
    (folder / "points" / "S2.csv").unlink()
    assert isinstance(dataset.load(folder).examples[1].truth, Labels)
    for path in (folder / "points" / "S1.csv", *(folder / "labels").glob("S2.*")):
        path.unlink()
    with pytest.raises(DatasetError, match=r"1 of 2 images .* that is 0 everywhere as labels/S2\.tif"):
        dataset.load(folder)
    with pytest.raises(DatasetError, match=r"2 of 2 images without annotation in points/ \(S1, S2\)"):
        dataset.load(folder, truth="points")


def test_images_without_annotation_are_all_named_with_two_ways_out(folder):
    for path in (folder / "points").iterdir():
        path.unlink()
    message = r"found 2 of 2 images without annotation .*\(S1, S2\).*unlabelled/.*x_um,y_um,class .*as points/S1\.csv"
    with pytest.raises(DatasetError, match=message):
        dataset.load(folder)


def test_annotation_without_image_is_refused_with_the_nearest(folder):
    write(folder / "points" / "S3.csv", "x_px,y_px\n")
    with pytest.raises(
        DatasetError, match=r"S3\.csv: found an annotation of image 'S3'; need one of S1, S2; did you mean"
    ):
        dataset.load(folder)


def test_a_class_that_is_not_listed_is_refused_with_the_nearest(folder):
    write(folder / "points" / "S1.csv", "x_px,y_px,class\n3,4,6 nm\n")
    with pytest.raises(AnnotationError, match=r"S1\.csv, row 2: found class '6 nm'.*did you mean 6nm\?"):
        dataset.load(folder)


def test_an_unannotated_class_that_is_annotated_is_a_contradiction(folder):
    write(folder / "dataset.yaml", "unannotated: {12nm: 12}\n")
    with pytest.raises(DatasetError, match=r"points of class 12nm, which .* calls unannotated"):
        dataset.load(folder)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("images/S1.png", r"S1\.tif: found S1\.png beside it"),
        ("images/notes.txt", r"notes\.txt: found suffix '\.txt'; need one of \.tif"),
        ("points/S1.xlsx", r"S1\.xlsx: found suffix '\.xlsx'; need one of \.csv"),
        ("points/S1.roi", r"S1\.roi: found S1\.csv beside it"),
        ("points/S1_6nm.csv", r"found S1\.csv, S1_6nm\.csv; need one table for all classes or one each"),
        ("masks/S9.tif", r"S9\.tif: found an annotation of image 'S9'"),
    ],
)
def test_files_that_are_one_too_many_are_named(folder, extra, message):
    write(folder / extra, "x_px,y_px\n")
    with pytest.raises(GraticuleError, match=message):
        dataset.load(folder)


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "README.md"])
def test_what_systems_leave_behind_is_no_fault(folder, name):
    write(folder / "images" / name, "x")
    write(folder / "points" / name, "x")
    dataset.load(folder)


# -- masks and labels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1, 255])
def test_a_mask_says_where_the_annotation_is_complete(folder, value):
    mask = np.zeros((40, 50), np.uint8)
    mask[:20] = value
    io.write(Image(mask, "yx", (1, 1)), folder / "masks" / "S1.tif")
    first, second = dataset.load(folder).examples
    assert first.is_complete_at(np.array([[0.5, 0.5], [3.0, 0.5]])).tolist() == [True, False]
    assert second.complete is None


@pytest.mark.parametrize("kind", ["masks", "labels"])
def test_another_shape_is_refused(folder, kind):
    (folder / "points" / "S1.csv").unlink()
    for name in ("S1", "S2"):
        io.write(Image(np.ones((40, 50), np.uint8), "yx", (1, 1)), folder / "labels" / f"{name}.tif")
    io.write(Image(np.ones((40, 51), np.uint8), "yx", (1, 1)), folder / kind / "S1.tif")
    with pytest.raises(AnnotationError, match=r"S1\.tif: found (a mask|labels) of 40 × 51 pixels; need 40 × 50"):
        dataset.load(folder)


@pytest.mark.parametrize(
    ("values", "message"), [(PIXELS, "found 2.. different values; need two"), (PIXELS * 0, "found 0 everywhere")]
)
def test_masks_that_are_none_are_refused(folder, values, message):
    io.write(Image(values, "yx", (1, 1)), folder / "masks" / "S1.tif")
    with pytest.raises(AnnotationError, match=rf"masks.S1\.tif: {message}"):
        dataset.load(folder)


def test_of_labels_a_first_class_called_background_is_number_0_and_of_points_a_class_like_others(folder):
    write(folder / "dataset.yaml", "classes: [Background, 6nm, 12nm]\n")
    assert dataset.load(folder).classes == ("Background", "6nm", "12nm")
    for name in ("S1", "S2"):
        io.write(Image((PIXELS > 99).astype(np.uint8), "yx", (1, 1)), folder / "labels" / f"{name}.tif")
    assert dataset.load(folder, truth="labels").classes == ("6nm", "12nm")


def test_labels_are_whole_numbers(folder):
    (folder / "points" / "S1.csv").unlink()
    io.write(Image(PIXELS.astype(np.float32), "yx", (1, 1)), folder / "labels" / "S1.tif")
    with pytest.raises(AnnotationError, match=r"S1\.tif: found values of type float32; need whole numbers"):
        dataset.load(folder)


# -- axes and channels -------------------------------------------------------------------------------------------------


def stack(folder, **options):
    folder.mkdir(parents=True)
    tifffile.imwrite(folder / "A.tif", np.zeros((5, 20, 30), np.uint8), metadata=None, **options)


def test_the_header_names_axes_that_the_file_does_not(tmp_path):
    stack(tmp_path / "images")
    stack(tmp_path / "labels")
    with pytest.raises(FormatError, match="--axes zyx"):
        dataset.load(tmp_path, spacing_um=(1,))
    write(tmp_path / "dataset.yaml", "axes: ZYX\npixel_size_um: [2, 1, 1]\n")
    (example,) = dataset.load(tmp_path).examples
    assert example.image.axes == example.truth.image.axes == "zyx"
    assert example.image.spacing_um == (2, 1, 1)


def test_axes_that_contradict_the_file_are_refused(folder):
    write(folder / "dataset.yaml", "axes: ZYX\n")
    with pytest.raises(DatasetError, match=r"S1\.tif: found axes yx \(40 × 50\), but dataset\.yaml says zyx"):
        dataset.load(folder)


def test_colours_are_chosen_for_all_images(folder):
    for path in sorted((folder / "images").iterdir()):
        tifffile.imwrite(path, np.stack([PIXELS, PIXELS // 2, PIXELS // 3], -1), photometric="rgb")
    with pytest.raises(DatasetError, match=r"(?s)2 faults.*RGB image.*--channel"):
        dataset.load(folder, spacing_um=(0.1,))
    assert np.array_equal(dataset.load(folder, spacing_um=(0.1,), channel="red").examples[1].image.data, PIXELS)
    write(folder / "dataset.yaml", "channel: green\n")
    assert np.array_equal(dataset.load(folder, spacing_um=(0.1,)).examples[1].image.data, PIXELS // 2)


# -- groups and splits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("groups: {a: [S1, S2], b: [S2]}", "found S2 in groups a and b"),
        ("groups: {a: [S1, S2, S3]}", "found in group a the image 'S3'; need one of S1, S2"),
        ("groups: {a: [S1]}", "found S2 in no group"),
        ("groups: {a: [S1, S2], b: [01]}", r"'1'.*quote names that are numbers"),
        ("split: {train: [S7]}", "found in split train the image 'S7'"),
        ("groups: {a: [S1, S2]}\nsplit: {train: [S1], test: [S2]}", "found group a divided between train and test"),
        ("pixel_size_um_by_image: {S7: 1}", "found in pixel_size_um_by_image the image 'S7'"),
    ],
)
def test_groups_and_splits_have_to_add_up(folder, header, message):
    write(folder / "dataset.yaml", header)
    with pytest.raises(DatasetError, match=rf"dataset\.yaml: .*{message}"):
        dataset.load(folder)


# -- everything at once ------------------------------------------------------------------------------------------------


def test_everything_that_is_wrong_is_told_at_once(folder):
    write(folder / "dataset.yaml", "pixelsize: 1\nclasses: [6nm]\ngroups: {a: [S1]}\n")
    write(folder / "points" / "S9.csv", "x_px,y_px\n")
    (folder / "points" / "S2.csv").unlink()
    (folder / "images" / "S3.png").write_bytes(b"nothing")
    io.write(Image(np.ones((4, 5), np.uint8), "yx", (1, 1)), folder / "masks" / "S2.tif")
    found = "\n".join(dataset.problems(folder))
    for part in (
        "did you mean pixel_size_um",
        "found S2, S3 in no group",
        "S9.csv: found an annotation of image 'S9'",
        "2 of 3 images without annotation in points/ or labels/ (S2, S3)",
        "S3.png: found no PNG inside",
        "S1.csv, row 3: found class '12nm'",
        "S2.tif: found a mask of 4 × 5 pixels; need 40 × 50",
    ):
        assert part in found
    with pytest.raises(DatasetError, match=r"(?s)found 7 faults.*7. "):
        dataset.load(folder)


def test_a_folder_that_is_no_dataset_is_told_the_layout(tmp_path):
    with pytest.raises(DatasetError, match="gone: found no such folder; need images/ and points/ or labels/"):
        dataset.load(tmp_path / "gone")
    with pytest.raises(DatasetError, match="found no folder images/ in it"):
        dataset.load(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(DatasetError, match="found no image in images/"):
        dataset.load(tmp_path)


# -- writing -----------------------------------------------------------------------------------------------------------


@st.composite
def any_examples(draw):
    """A few images with points or labels, some with masks, in 2D or 3D, of one or more specimens."""
    shape = draw(st.sampled_from([(12, 15), (4, 12, 15)]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    found = []
    for i in range(draw(st.integers(1, 3))):
        spacing = tuple(draw(st.sampled_from([0.00056, 0.1, 2.5])) for _ in shape)
        dtype = draw(st.sampled_from([np.uint8, np.uint16, np.float32]))
        origin = draw(st.sampled_from([(), (5.0, -3.0, 2.0)[: len(shape)]]))
        image = Image(rng.integers(0, 255, shape).astype(dtype), "zyx"[-len(shape) :], spacing, origin)
        mask = rng.random(shape) > 0.5
        position = image.to_um(rng.uniform(0, np.array(shape) - 1, (6, len(shape))))
        truth = Points.marked(position, rng.integers(0, 2, 6), ("6nm", "12nm"))
        if draw(st.booleans()):
            truth = Labels(Image(rng.integers(0, 300, shape), image.axes, spacing))
        complete = Image(mask, image.axes, spacing) if draw(st.booleans()) else None
        found.append(Example(f"S{i}", image, truth, complete, draw(st.sampled_from(["", "mouse"]))))
    return found


@given(any_examples())
def test_saving_then_loading_gives_the_same_examples(tmp_path_factory, examples):
    home = tmp_path_factory.mktemp("datasets") / "new"
    dataset.write(home, examples, classes=("6nm", "12nm"), diameters_nm={"6nm": 6}, unannotated={"18nm": 18})
    again = dataset.load(home)
    assert (again.name, again.classes, again.diameters_nm) == ("new", ("6nm", "12nm"), {"6nm": 6})
    assert again.unannotated == {"18nm": 18}
    for before, after in zip(examples, again.examples, strict=True):
        assert (after.name, after.specimen) == (before.name, before.specimen)
        assert after.image.spacing_um == before.image.spacing_um
        assert after.image.data.dtype == before.image.data.dtype
        assert np.array_equal(after.image.data, before.image.data)
        if isinstance(before.truth, Points):
            # A crop is written as an image of its own, so places are compared on the pixels.
            expected = before.image.to_voxels(before.truth.position_um)
            assert np.abs(after.image.to_voxels(after.truth.position_um) - expected).max() < 1e-3
            assert np.array_equal(after.truth.kind, before.truth.kind)
        else:
            assert np.array_equal(after.truth.image.data, before.truth.image.data)
        assert (after.complete is None) == (before.complete is None)
        if before.complete is not None:
            assert np.array_equal(after.complete.data != 0, before.complete.data)


def test_channels_come_back(tmp_path):
    image = Image(np.stack([PIXELS, PIXELS // 2]), "cyx", (0.1, 0.1))
    dataset.write(tmp_path / "new", [Example("A", image, Points.none(2))])
    (example,) = dataset.load(tmp_path / "new").examples
    assert example.image.axes == "cyx"
    assert np.array_equal(example.image.data, image.data)


def test_a_dataset_appears_whole_or_not_at_all(tmp_path):
    good = Example("A", IMAGE, Points.none(2))
    bad = Example("B", Image(PIXELS.astype("c8"), "yx", (1, 1)), Points.none(2))
    with pytest.raises(FormatError, match="complex"):
        dataset.write(tmp_path / "new", [good, bad])
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "new").mkdir()
    dataset.write(tmp_path / "new", [good], split={"train": ["A"]})
    assert dataset.load(tmp_path / "new").split == {"train": ("A",)}
    with pytest.raises(DatasetError, match="found something there already"):
        dataset.write(tmp_path / "new", [good])


@pytest.mark.parametrize("name", ["a/b", "../a", ".hidden", ""])
def test_names_that_no_file_can_have_are_refused(tmp_path, name):
    with pytest.raises(DatasetError, match="found the image name"):
        dataset.write(tmp_path / "new", [Example(name, IMAGE, Points.none(2))])


# -- real data ---------------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_gold_synapses_has_254_beads_in_7_images(shared_data):
    gold = dataset.load(shared_data / "gold-synapses")
    assert [example.name for example in gold.examples] == ["S1", "S7", "S8", "S13", "S15", "S27", "S29"]
    assert gold.classes == ("6nm", "12nm")
    assert sum(len(example.truth.of_kind("6nm")) for example in gold.examples) == 231
    assert sum(len(example.truth) for example in gold.examples) == 254
    for example in gold.examples:
        assert example.image.shape == (2115, 2048)
        assert example.is_complete_at(example.truth.position_um).all()


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "examples", "marked", "given"),
    [
        ("centrioles-2d", 8, 404, (0.1,)),
        ("embryo-nuclei-3d", 17, 474, None),
        ("ovule-nuclei-3d", 2, 86, None),
        ("resin", 3, None, None),
        ("platelet", 1, None, None),
        ("wing-disc", 1, None, (0.1,)),
    ],
)
def test_real_datasets_load(shared_data, name, examples, marked, given):
    found = dataset.load(shared_data / name, spacing_um=given)
    assert len(found.examples) == examples
    assert marked is None or sum(len(example.truth) for example in found.examples) == marked


@pytest.mark.real
def test_a_real_dataset_without_pixel_size_asks_for_it(shared_data):
    with pytest.raises(SpacingError, match="8 of 8 images without a usable pixel size"):
        dataset.load(shared_data / "centrioles-2d")


@pytest.mark.real
def test_a_volume_is_read_in_parts(shared_data):
    training, testing = sorted(dataset.load(shared_data / "lucchi").examples, key=lambda e: -e.image.shape[0])
    assert testing.image.shape == (24, 768, 1024)
    assert not isinstance(training.image.data, np.ndarray)
    with tifffile.TiffFile(shared_data / "lucchi" / "images" / "training.tif") as file:
        assert np.array_equal(training.image.data[7, 100:200, 50:90], file.pages[7].asarray()[100:200, 50:90])
