"""The server as a process: started by the command line, stopped by Ctrl-C."""

from __future__ import annotations

import json
import signal
import urllib.request
from http.cookiejar import CookieJar

import pytest

pytest.importorskip("fastapi", reason="the extra [web] is not installed")

from graticule.errors import SettingsError
from graticule.web import serve
from graticule.web.guard import Access
from graticule.web.serve import Where
from graticule.workflows.review import load_result, open_review
from tests.web.serving import Server
from tests.web.tables import write_points


def test_it_says_its_address_answers_there_and_lets_go_of_everything_on_ctrl_c(tmp_path) -> None:
    folder = write_points(tmp_path / "out")
    with Server(folder) as server:
        assert server.told["results"] == ["grid"] and server.told["who"] == "ada"
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
        )
        assert b"Graticule review" in opener.open(server.address, timeout=20).read()
        body = json.dumps({"who": "ada"}).encode()
        begin = urllib.request.Request(
            f"http://127.0.0.1:{server.port}/api/results/grid/reviews", body, {"content-type": "application/json"}
        )
        assert json.load(opener.open(begin, timeout=20))["who"] == "ada"
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(20) == 130
    with open_review(load_result(folder), who="ada") as session:
        assert session.progress.open == 20


def app(access: Access):
    """One that nobody asks."""
    return lambda scope, receive, send: None


def test_a_name_is_told_where_it_listens_everywhere(monkeypatch) -> None:
    told: list[str] = []

    def run(server, sockets) -> None:
        server._ready()

    monkeypatch.setattr("socket.gethostname", lambda: "microscope")
    monkeypatch.setattr(serve._Server, "run", run)
    serve.serve(app, Where(host="0.0.0.0", port=0, password="p"), ready=told.append)
    serve.serve(app, Where(port=0), ready=told.append)
    assert told[0].startswith("http://microscope:") and told[1].startswith("http://127.0.0.1:")
    assert "?key=" in told[1]


@pytest.mark.parametrize("where", [{"port": -1}, {"port": 65536}, {"host": "192.0.2.1"}])
def test_where_it_cannot_listen_is_refused(where) -> None:
    with pytest.raises(SettingsError):
        Where(**where)


def test_an_address_of_another_machine_is_refused_in_one_line() -> None:
    with pytest.raises(SettingsError, match="cannot be used"):
        serve.serve(app, Where(host="192.0.2.1", password="p"))
