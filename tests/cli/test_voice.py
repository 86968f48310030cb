from graticule.cli.options import Common
from graticule.cli.voice import Voice


def test_what_is_no_number_is_null_in_json(capsys):
    Voice(Common(json=True)).finish({"a": float("nan"), "b": [1.5, float("inf")], "c": {"d": "x", "e": None}})
    assert capsys.readouterr().out == '{"a": null, "b": [1.5, null], "c": {"d": "x", "e": null}}\n'
