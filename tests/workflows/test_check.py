import json
from dataclasses import replace

import numpy as np
import pytest

from graticule import io
from graticule.workflows.check import check
from tests.synthetic import SPACING_UM, discs, scattered

SHAPE = (300, 360)
KINDS = ("6nm", "12nm")


def picture(seed, count=24):
    """Spots of 10 and 20 px, which is 6 and 12 nm."""
    kind = (np.arange(count) % 3) // 2
    return scattered(
        seed, count, SHAPE, gap_px=32, edge_px=16, kind=kind, kinds=KINDS, diameter_px=(10.0, 20.0), noise=6.0
    )


def written(folder, examples, *, columns="x_um,y_um,class", places=None, yaml="classes: [6nm, 12nm]\n", masks=None):
    """A dataset; `places` turns the positions (y, x) in µm into what the table holds."""
    for example in examples:
        io.write(example.image, folder / "images" / f"{example.name}.tif")
        um = example.truth.position_um if places is None else places(example.truth.position_um)
        names = [KINDS[kind] for kind in example.truth.kind]
        rows = [columns, *(f"{x:.6f},{y:.6f},{name}" for (y, x), name in zip(um, names, strict=True))]
        table = folder / "points" / f"{example.name}.csv"
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text("\n".join(rows) + "\n", encoding="utf-8")
        if masks is not None:
            io.write(replace(example.image, data=masks), folder / "masks" / f"{example.name}.tif")
    (folder / "dataset.yaml").write_text(yaml, encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "beads"


PICTURES = tuple(picture(seed) for seed in (1, 2))


def only(sentences):
    assert len(sentences) == 1, sentences
    return sentences[0]


class TestSoundDataset:
    def test_has_no_problem_and_no_warning(self, folder):
        report = check(written(folder, PICTURES))
        assert report.ok
        assert report.problems == report.warnings == ()

    def test_is_described(self, folder):
        report = check(written(folder, PICTURES))
        one = report.images[0]
        assert (one.name, one.shape, one.dtype, one.objects) == ("discs-1", SHAPE, "uint8", {"6nm": 16, "12nm": 8})
        assert one.spacing_um == pytest.approx((SPACING_UM, SPACING_UM))
        small, large = report.classes
        assert (small.name, small.count, small.images, small.stated_nm, small.polarity) == ("6nm", 32, 2, 6, "dark")
        assert (small.measured_nm, large.measured_nm) == pytest.approx((6, 12), rel=0.1)
        assert small.contrast == pytest.approx(120, rel=0.1)
        assert small.on_spots == large.on_spots == 1

    def test_is_told_in_words_and_as_json(self, folder):
        report = check(written(folder, PICTURES))
        assert json.loads(json.dumps(report.as_dict()))["ok"] is True
        assert "discs-1: 300 x 360" in str(report)
        assert str(report).endswith("2 images, nothing wrong")


class TestMisplacedPoints:
    def test_bare_columns_get_the_unit_that_fits(self, folder):
        report = check(written(folder, PICTURES, columns="x,y,class"))
        assert "fit if their unit is µm (all 48 would then be on spots); pass --points-unit um" in report.problems[-1]
        assert "without a unit" in report.problems[0]

    def test_bare_pixels_are_recognised_too(self, folder):
        report = check(written(folder, PICTURES, columns="x,y,class", places=lambda um: um / SPACING_UM))
        assert "pass --points-unit px" in report.problems[-1]

    def test_with_the_right_unit_given_there_is_no_problem(self, folder):
        assert check(written(folder, PICTURES, columns="x,y,class"), points_unit="um").ok

    def test_pixels_in_columns_named_um_are_told(self, folder):
        report = check(written(folder, PICTURES, places=lambda um: um / SPACING_UM))
        assert "outside the image" in report.problems[0]
        assert "the numbers are pixels, not µm" in report.problems[-1]
        assert "name the columns x_px,y_px" in report.problems[-1]

    def test_a_wrong_scale_is_told_with_the_pixel_size_it_means(self, folder):
        said = only(check(written(folder, PICTURES, places=lambda um: um * 0.8)).problems)
        assert "multiplied by 1.25" in said
        assert f"as if a pixel were {SPACING_UM * 0.8:.4g}"[:-1] in said

    def test_points_scaled_out_of_the_image_are_told_the_scale_that_fits(self, folder):
        report = check(written(folder, PICTURES, places=lambda um: um * 2))
        assert "multiplied by 0.5" in report.problems[-1]

    def test_a_shift_is_told(self, folder):
        said = only(check(written(folder, PICTURES, places=lambda um: um + np.array([12, -14]) * SPACING_UM)).problems)
        assert "moved by" in said
        down, right = (
            int(word) for word in (said.split("px in x and ")[1].split()[0], said.split("moved by ")[1].split()[0])
        )
        assert (down, right) == pytest.approx((-12, 14), abs=2)

    @pytest.mark.parametrize("shift_px", [9, 11, 16])
    def test_a_shift_by_about_a_diameter_is_no_fit_to_the_spots_bright_rims(self, folder, shift_px):
        report = check(written(folder, PICTURES, places=lambda um: um + np.array([0, shift_px]) * SPACING_UM))
        assert not report.ok

    def test_exchanged_columns_are_told(self, folder):
        report = check(written(folder, PICTURES, places=lambda um: um[:, ::-1]))
        assert "x and y are exchanged" in report.problems[-1]

    def test_a_y_axis_that_points_up_is_told(self, folder):
        def upward(um):
            return np.stack([(SHAPE[0] - 1) * SPACING_UM - um[:, 0], um[:, 1]], axis=1)

        assert "y counts upward" in only(check(written(folder, PICTURES, places=upward)).problems)

    def test_points_of_another_image_fit_nowhere_and_that_is_said(self, folder):
        stranger = replace(PICTURES[0], truth=picture(9).truth)
        said = only(check(written(folder, [stranger, PICTURES[1]])).problems)
        assert said.startswith("discs-1: found ")
        assert "do they belong to this image?" in said

    def test_a_single_mark_beside_its_spot_is_a_warning(self, folder):
        astray = PICTURES[0].truth.position_um.copy()
        astray[4] += 16 * SPACING_UM
        moved = replace(PICTURES[0], truth=replace(PICTURES[0].truth, position_um=astray))
        report = check(written(folder, [moved, PICTURES[1]]))
        assert report.ok
        assert "discs-1: 1 of 24 points on no spot" in only(report.warnings)


class TestOtherFaults:
    def test_all_are_told_at_once(self, folder):
        flat = replace(PICTURES[1], image=replace(PICTURES[1].image, data=np.full(SHAPE, 7, np.uint8)))
        written(folder, [PICTURES[0], flat], yaml="classes: [6nm, 12nm]\nclases: 3\n")
        (folder / "points" / "orphan.csv").write_text("x_um,y_um\n", encoding="utf-8")
        text = "\n".join(check(folder).problems)
        for word in ("clases", "orphan.csv", "same grey level, 7"):
            assert word in text

    def test_two_marks_on_one_spot_are_told(self, folder):
        truth = PICTURES[0].truth
        near = truth.position_um[[0]] + SPACING_UM
        doubled = replace(
            truth,
            position_um=np.concatenate([truth.position_um, near]),
            confidence=np.ones(25),
            kind=np.append(truth.kind, truth.kind[0]),
        )
        report = check(written(folder, [replace(PICTURES[0], truth=doubled)]))
        assert "1 times two marks on one spot (6nm at x" in "\n".join(report.warnings)

    def test_marks_outside_the_mask_are_told(self, folder):
        mask = np.zeros(SHAPE, np.uint8)
        mask[:, :180] = 1
        report = check(written(folder, PICTURES, masks=mask))
        assert report.ok
        assert "of 24 marks lie outside the mask" in report.warnings[0]

    def test_an_empty_mask_is_a_problem(self, folder):
        report = check(written(folder, PICTURES, masks=np.zeros(SHAPE, np.uint8)))
        assert "0 everywhere" in report.problems[0]

    def test_clipped_grey_levels_are_told(self, folder):
        dark = replace(PICTURES[0], image=replace(PICTURES[0].image, data=PICTURES[0].image.data.copy()))
        dark.image.data[:60] = 0
        assert "fully black" in "\n".join(check(written(folder, [dark])).warnings)

    def test_spots_of_another_size_than_stated_are_told(self, folder):
        report = check(written(folder, PICTURES, yaml="classes: [6nm, 12nm]\ndiameters_nm: {6nm: 6, 12nm: 20}\n"))
        assert "class 12nm: marked spots measure" in only(report.warnings)

    def test_an_image_without_objects_is_no_fault(self, folder):
        empty = discs([], SHAPE, kinds=KINDS, name="empty")
        assert check(written(folder, [*PICTURES, empty])).ok

    def test_a_folder_that_is_none_is_one_problem(self, tmp_path):
        report = check(tmp_path / "nowhere")
        assert not report.ok
        assert "no such folder" in only(report.problems)

    def test_labels_are_counted(self, folder):
        labels = np.zeros(SHAPE, np.uint16)
        labels[10:20, 10:20], labels[50:60, 50:60] = 1, 7
        io.write(PICTURES[0].image, folder / "images" / "a.tif")
        io.write(replace(PICTURES[0].image, data=labels), folder / "labels" / "a.tif")
        report = check(folder)
        assert report.ok, report.problems
        assert report.images[0].objects == {"objects": 2}


@pytest.mark.real
class TestRealMicrographs:
    def test_the_annotation_of_gold_beads_is_sound(self, shared_data):
        report = check(shared_data / "gold-synapses")
        assert report.ok, report.problems
        assert [one.on_spots for one in report.classes] == [1, 1]

    def test_the_laboratorys_own_tables_without_a_unit_are_found_to_be_in_micrometres(self, shared_data, folder):
        gold = shared_data / "gold-synapses"
        for name in ("S1", "S7"):
            for kind in KINDS:
                table = folder / "points" / f"{name}_{kind}.csv"
                table.parent.mkdir(parents=True, exist_ok=True)
                table.write_bytes((gold / "original_csv" / table.name).read_bytes())
            (folder / "images").mkdir(exist_ok=True)
            (folder / "images" / f"{name}.jpg").symlink_to(gold / "images" / f"{name}.jpg")
        report = check(folder, spacing_um=(1 / 1790,))
        assert "fit if their unit is µm (all 47 would then be on spots); pass --points-unit um" in report.problems[-1]
        assert check(folder, spacing_um=(1 / 1790,), points_unit="um").ok
