"""Only what was sent is an upload; see also `test_uploads`, where a running server is asked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the extra [web] is not installed")

from graticule.errors import FormatError
from graticule.web.dashboard.upload import sent


def test_only_what_lies_where_uploads_lie_is_one(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "sent"))
    (tmp_path / "sent" / "abc").mkdir(parents=True)
    mine, other = tmp_path / "sent" / "abc" / "S1.tif", tmp_path / "secret.tif"
    mine.write_text("mine")
    other.write_text("secret")
    (tmp_path / "sent" / "link.tif").symlink_to(other)
    assert asyncio.run(sent(str(mine))) == str(mine.resolve())
    assert asyncio.run(sent(None)) is None
    bad: list[str | Path] = [other, tmp_path / "sent" / ".." / "secret.tif", tmp_path / "sent" / "link.tif"]
    for path in [*bad, tmp_path / "sent", "http://elsewhere.example/x.tif", "/etc/passwd"]:
        with pytest.raises(FormatError, match="not sent to this server"):
            asyncio.run(sent(path))
