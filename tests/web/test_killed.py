"""Nothing is lost when the server is killed; benchmarks/review_kill_web.py does it fifty times."""

from __future__ import annotations

from tests.web.browsing import open_page, ready
from tests.web.killing import review_under_kills
from tests.web.serving import Server
from tests.web.tables import write_points


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(tmp_path, chromium) -> None:
    write_points(tmp_path / "out", count=60)
    with Server(tmp_path / "out") as server:
        page = open_page(chromium, server.address, "grid", "ada")
        ready(page)
        outcome = review_under_kills(page, server, "grid", "ada", kills=3, seed=1)
        assert outcome.faults == [] and page.faults == []
        assert outcome.kills == 3 and len(outcome.acknowledged) == outcome.decisions > 5
        page.context.close()
