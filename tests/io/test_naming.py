from graticule.io.naming import unknown


def test_the_nearest_name_is_offered():
    assert unknown("key", "pixelsize_um", ["pixel_size_um", "classes"]).endswith("did you mean pixel_size_um?")


def test_nothing_is_offered_where_nothing_is_near():
    assert "did you mean" not in unknown("class", "zebra", ["6nm"])
    assert "none at all" in unknown("class", "zebra", [])
