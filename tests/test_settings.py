import json

import pytest

from graticule.errors import SettingsError
from graticule.settings import from_plain, to_plain
from graticule.tasks.beads import Beads


def test_settings_survive_a_trip_through_json():
    task = Beads(classes=("6nm", "12nm"), diameters_nm=(6.0, 12.0), thresholds=(0.3, 0.4), epochs=(1, 2, 3))
    assert from_plain(Beads, json.loads(json.dumps(to_plain(task)))) == task


def test_an_unknown_key_is_refused_with_the_nearest_name():
    with pytest.raises(SettingsError, match=r"my\.toml.*'diameter_nm'.*'diameters_nm'"):
        from_plain(Beads, {"diameter_nm": [6]}, "my.toml")


@pytest.mark.parametrize(
    ("key", "value"), [("epochs", ["many"]), ("encoder", 18), ("steps", 2.5), ("measure_diameter", 1), ("batch", True)]
)
def test_a_value_of_the_wrong_type_is_refused(key, value):
    with pytest.raises(SettingsError, match=key):
        from_plain(Beads, {key: value})


def test_whole_numbers_serve_as_floats_and_single_values_as_lists():
    task = from_plain(Beads, {"classes": "6nm", "diameters_nm": 6, "learning_rate": 1})
    assert task.diameters_nm == (6.0,)
    assert isinstance(task.diameters_nm[0], float)
