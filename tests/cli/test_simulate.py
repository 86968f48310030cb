import pytest

from graticule.io import dataset


@pytest.mark.parametrize("kind", ["beads", "spots"])
def test_a_dataset_is_made_that_can_be_loaded(graticule, tmp_path, kind):
    ended = graticule("simulate", kind, "made", "--count", "2", "--size", "96", "--json")
    assert ended.code == 0
    made = dataset.load(tmp_path / "made")
    assert [example.image.shape for example in made.examples] == [(96, 96)] * 2
    assert ended.json["objects"] == sum(len(example.truth) for example in made.examples)


def test_beads_that_are_not_marked_are_named_in_the_dataset(graticule, tmp_path):
    graticule("simulate", "beads", "made", "--count", "1", "--size", "64")
    made = dataset.load(tmp_path / "made")
    assert made.classes == ("6nm", "12nm")
    assert made.diameters_nm == {"6nm": 7.0, "12nm": 12.3}
    assert made.unannotated == {"18nm": 19.0}


def test_the_same_seed_makes_the_same_files(graticule, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        graticule("simulate", "spots", name, "--count", "1", "--size", "64", "--seed", seed)
    a, b, c = ([path.read_bytes() for path in sorted((tmp_path / name / "images").iterdir())] for name in "abc")
    assert a == b
    assert a != c


def test_scenes_have_settings_of_their_own(graticule, tmp_path):
    assert (
        graticule("simulate", "spots", "made", "--count", "1", "--size", "64", "--dark", "--spacing-um", "0.2").code
        == 0
    )
    assert dataset.load(tmp_path / "made").examples[0].image.spacing_um == (0.2, 0.2)


def test_the_folder_may_be_named_either_way(graticule, tmp_path):
    assert graticule("simulate", "spots", "-o", "made", "--count", "1", "--size", "64").code == 0
    assert (tmp_path / "made" / "images").is_dir()


@pytest.mark.parametrize(("flags", "shape"), [((), (24, 24, 24)), (("--dimensions", "2"), (24, 24))])
def test_tissue_is_made_in_volumes_or_in_planes_with_labels(graticule, tmp_path, flags, shape):
    ended = graticule(
        "simulate", "tissue", "made", "--count", "2", "--size", "24", "--domain", "milled", *flags, "--json"
    )
    assert ended.code == 0
    made = dataset.load(tmp_path / "made")
    assert made.classes == ("tissue",)
    assert [example.truth.image.shape for example in made.examples] == [shape] * 2
    assert 0 < ended.json["outlined_share"] < 1


def test_a_domain_that_is_not_known_is_refused(graticule):
    assert "block-face" in graticule("simulate", "tissue", "made", "--size", "24", "--domain", "moon").complaint


@pytest.mark.parametrize(
    "asked",
    [
        ("rosettes", "--size", "24"),
        ("spots", "--signal-to-noise", "5", "2"),
        ("spots", "--background", "-10"),
        ("tissue", "--dimensions", "2", "--tissue-share", "0.9", "0.2"),
        ("beads", "--beads-per-um2", "-3", "4"),
        ("particles", "--smears", "-2"),
        ("particles", "--fluorophores", "0"),
        ("mitochondria", "--vesicles", "-1"),
    ],
)
def test_scenes_that_cannot_be_are_refused(graticule, asked):
    kind, *words = asked
    assert "need" in graticule("simulate", kind, "made", "--count", "1", *words).complaint
