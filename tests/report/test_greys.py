from PIL.Image import open as open_picture

from graticule.report.greys import MOST, draw_greys

LEVELS = [0.0, 10.0, 20.0, 30.0]


def test_every_image_has_a_panel_with_both_histograms(tmp_path):
    both = {"a": (LEVELS, [0.5, 0.5, 0.0], [0.0, 0.2, 0.8]), "b": (LEVELS, [0.0] * 3, [0.0, 1.0, 0.0])}
    draw_greys(both, tmp_path / "greys.svg")
    drawn = (tmp_path / "greys.svg").read_text()
    assert drawn.count("<!-- grey level -->") == 2
    assert all(f"<!-- {word} -->" in drawn for word in ("a", "b", "outlined", "background"))


def test_of_many_images_the_first_are_drawn(tmp_path):
    one = (LEVELS, [1.0, 0.0, 0.0], [0.0, 0.0, 1.0])
    for many, panels in ((1, 1), (MOST + 9, MOST)):
        draw_greys({f"image {n}": one for n in range(many)}, tmp_path / "greys.svg")
        assert (tmp_path / "greys.svg").read_text().count("<!-- grey level -->") == panels


def test_a_picture_is_as_its_name_says(tmp_path):
    draw_greys({"a": (LEVELS, [1.0, 0.0, 0.0], [0.0, 0.0, 1.0])}, tmp_path / "greys.png")
    with open_picture(tmp_path / "greys.png") as picture:
        assert picture.format == "PNG" and picture.width > 400
