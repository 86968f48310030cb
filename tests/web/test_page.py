"""The page in a real browser: keys, mouse, pictures, and nothing lost."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil

from graticule.workflows.review import journal_of, load_result
from tests.web.browsing import open_page, press, put_cursor, ready
from tests.web.serving import Server
from tests.web.tables import lines_of, write_points

RUNS_OVER = """() => [document.body, ...document.querySelectorAll("aside button, header > *")].filter((e) =>
e.scrollWidth > e.clientWidth + 1 || (e === document.body && e.scrollHeight > innerHeight)).map((e) => e.outerHTML)"""
KEYS_OF_STEPS = """() => Object.fromEntries([...document.querySelectorAll("[data-step]")].map((button) =>
[button.dataset.step, button.querySelector("kbd").textContent]))"""
SHOTS = Path(__file__).parents[2] / "build" / "screenshots"


def known(page, what: str):
    return page.evaluate(f"() => {{ const {{ known, view }} = window.graticule; return {what}; }}")


def until_item(page) -> int:
    """Checks fields until an object is in front; its id."""
    while known(page, "known.turn.item") == 0:
        page.evaluate("() => { window.graticule.known.looked = true; }")
        press(page, "c")
    return known(page, "known.turn.item")


def until_field(page) -> list:
    while known(page, "known.turn.item") != 0:
        press(page, "y")
    return known(page, "known.turn.field")


def test_keys_decide_and_each_is_in_the_journal_when_it_is_said_to_be_saved(at) -> None:
    page = at()
    for key, what in (("y", "accept"), ("n", "reject"), ("2", "relabel")):
        item = until_item(page)
        said = press(page, key)
        line = page.journal()[-1]
        assert said.startswith("Saved: ") and line["what"] == what
        assert line["ids"] == [item]
    assert press(page, "u") == f"Saved: took back: labelled {item}."
    assert known(page, "known.turn.item") == item and page.journal()[-1]["what"] == "undo"


def test_the_frame_that_was_on_screen_counts_as_seen(at) -> None:
    page = at()
    until_item(page)
    frame = known(page, "known.turn.field")
    press(page, "y")
    assert page.journal()[-1]["seen_um"] == frame
    until_item(page)
    page.evaluate("() => { window.graticule.view.zoom(30); window.graticule.known.seenFrame = false; }")
    page.wait_for_timeout(100)
    press(page, "y")
    assert "seen_um" not in page.journal()[-1] and page.journal()[-1]["stream"] in ("queue", "audit")


def test_a_click_adds_where_it_was_clicked(at) -> None:
    page = at()
    field = until_field(page)
    middle = [(a + b) / 2 for a, b in zip(*field, strict=True)]
    put_cursor(page, *middle)
    press(page, "i")
    pixel = 1 / known(page, "view.scale")
    assert page.journal()[-1]["positions_um"][0] == pytest.approx(middle, abs=pixel)
    page.click("button[data-step=add]")
    x, y = put_cursor(page, middle[0] + 1, middle[1] + 1)
    page.mouse.click(x, y)
    page.wait_for_function("() => document.querySelectorAll('#log li').length && !window.graticule.known.outbox")
    page.wait_for_timeout(200)
    assert page.journal()[-1]["positions_um"][0] == pytest.approx([middle[0] + 1, middle[1] + 1], abs=pixel)


def test_an_object_is_moved_to_the_cursor_divided_joined_and_opened_again(at) -> None:
    page = at()
    item = until_item(page)
    y, x = known(page, f"known.items.get({item}).position_um")
    pixel = 1 / known(page, "view.scale")
    put_cursor(page, y + 0.5, x - 0.5)
    press(page, "h")
    assert page.journal()[-1]["positions_um"][0] == pytest.approx([y + 0.5, x - 0.5], abs=pixel)
    put_cursor(page, y + 0.5, x - 0.5)
    page.keyboard.press("u")
    page.wait_for_function(f"() => window.graticule.known.turn.item === {item}")
    put_cursor(page, y, x)
    page.keyboard.press("d")
    put_cursor(page, y + 2, x)
    press(page, "d")
    line = page.journal()[-1]
    assert line["what"] == "split" and len(line["positions_um"]) == 2
    page.evaluate(f"() => window.graticule.view.show([[{y - 5}, {x - 5}], [{y + 5}, {x + 5}]])")
    page.wait_for_timeout(100)
    put_cursor(page, y, x)
    page.keyboard.press("g")
    put_cursor(page, y + 2, x)
    press(page, "j")
    assert page.journal()[-1]["what"] == "merge" and set(page.journal()[-1]["ids"]) == {item, *line["new"]}


def test_keys_work_whatever_was_touched_last(at) -> None:
    page = at()
    page.click("summary:has-text('Look')")
    page.focus("#contrast")
    press(page, "y" if known(page, "known.turn.item") else "c")
    assert len(page.journal()) == 1


def test_an_outline_is_drawn_with_the_mouse(at) -> None:
    page = at("cells")
    page.keyboard.press("0")
    for key, corners in (
        ("i", [(45, 5), (45, 25), (55, 25), (55, 5)]),
        ("r", [(33, 33), (33, 48), (36, 48), (36, 33)]),
    ):
        if key == "r":
            until_item(page)
            page.keyboard.press("0")
        page.wait_for_timeout(150)
        page.keyboard.press(key)
        put_cursor(page, *corners[0])
        page.mouse.down()
        for corner in corners[1:]:
            put_cursor(page, *corner)
        count = page.locator("#log li").count()
        page.mouse.up()
        page.wait_for_function("n => document.querySelectorAll('#log li').length > n", arg=count)
    assert [line["what"] for line in page.journal() if line["what"] != "look"] == ["add", "reshape"]
    assert np.allclose(page.journal()[0]["positions_um"][0], [50, 15], atol=1)
    page.wait_for_function("() => Object.keys(window.graticule.view.outlines).length === 4")


def test_skipping_changes_nothing_and_comes_back(at) -> None:
    page = at()
    first = known(page, "JSON.stringify(known.turn)")
    total = known(page, "known.standing.turns")
    page.keyboard.press("k")
    page.wait_for_function("first => JSON.stringify(window.graticule.known.turn) !== first", arg=first)
    for _ in range(total - 1):
        now = known(page, "JSON.stringify(known.turn)")
        page.keyboard.press("k")
        page.wait_for_function("now => JSON.stringify(window.graticule.known.turn) !== now", arg=now)
    assert known(page, "JSON.stringify(known.turn)") == first
    assert page.journal() == []


def test_all_turns_end_in_words_and_the_next_image(at) -> None:
    page = at("cells")
    while known(page, "known.turn") is not None:
        press(page, "y" if known(page, "known.turn.item") else "c")
    assert page.inner_text("#question") == "All turns are done."
    page.keyboard.press("k")
    page.wait_for_function("() => window.graticule.known.sheet.result === 'grid'")
    ready(page)


def test_it_goes_on_after_a_reload(at) -> None:
    page = at()
    for _ in range(3):
        press(page, "y" if known(page, "known.turn.item") else "c")
    turn = known(page, "known.turn")
    page.reload()
    ready(page)
    assert known(page, "known.turn") == turn and "3 of" in page.inner_text("#counts")


def test_what_was_not_acknowledged_is_kept_over_a_reload_and_sent_again(at) -> None:
    page = at()
    item = until_item(page)
    count = len(page.journal())
    page.route("**/decisions", lambda route: route.abort())
    page.keyboard.press("n")
    page.wait_for_selector("#said.waiting")
    assert "Not saved yet" in page.inner_text("#said") and len(page.journal()) == count
    page.keyboard.press("y")  # does not count while the one before it is on its way
    page.reload()
    page.wait_for_selector("#said.waiting")
    page.unroute("**/decisions")
    page.wait_for_selector("#said.saved")
    assert [(line["what"], line["ids"]) for line in page.journal()[count:]] == [("reject", [item])]


def test_an_answer_that_got_lost_is_asked_for_again_and_counts_once(at) -> None:
    page = at()
    until_item(page)
    count = len(page.journal())
    lost = []

    def lose(route) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route.fetch().status)
            route.abort()

    page.route("**/decisions", lose)
    assert press(page, "y").startswith("Saved: saved before")
    assert lost == [200] and len(page.journal()) == count + 1


def test_pixels_on_screen_are_the_image_s_own(at, server) -> None:
    """At twenty screen pixels to a pixel of the image, the middle of each shows its grey level."""
    page = at()
    image = load_result(server.run / "grid").image
    page.evaluate(
        """() => { const { view } = window.graticule; Object.assign(view, { marks: false, frame: null, scale: 80 });
        view.centre = [75, 52]; view.refresh(); }"""
    )
    page.wait_for_timeout(300)
    ready(page)
    shot = np.asarray(Pil.open(BytesIO(page.screenshot())).convert("L"), float)
    low, high = np.percentile(np.asarray(image.data, float), (0.5, 99.5))
    box = page.locator("#canvas").bounding_box()
    for y, x in ((150, 208), (152, 210), (145, 200), (149, 199)):
        um = image.to_um(np.array([[y, x]], float))[0].tolist()
        row, column = page.evaluate("um => window.graticule.view.toScreen(um)", um)
        grey = np.clip((float(image.data[y, x]) - low) / (high - low), 0, 1) * 255
        assert abs(shot[round(box["y"] + row), round(box["x"] + column)] - grey) <= 2


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1920, 1080)])
def test_nothing_runs_over_at_usual_sizes(at, width: int, height: int) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    for result in ("grid", "cells"):
        page = at(result, width=width, height=height)
        press(page, "y" if known(page, "known.turn.item") else "c")
        page.wait_for_timeout(600)
        page.screenshot(path=SHOTS / f"review-{result}-{width}.png")
        assert page.evaluate(RUNS_OVER) == []


def test_nothing_is_loaded_from_elsewhere(chromium, server) -> None:
    page = open_page(chromium, "about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.address)
    page.fill("#name", "somebody")
    page.click("#results button:has-text('grid')")
    ready(page)
    press(page, "y" if known(page, "known.turn.item") else "c")
    assert len(asked) > 10
    assert all(url.startswith((f"http://127.0.0.1:{server.port}/", "blob:", "data:")) for url in asked)
    page.context.close()


def test_everything_has_a_name_and_can_be_reached_by_the_keyboard(at) -> None:
    page = at()
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, canvas[tabindex]")].filter((e) =>
        !e.textContent.trim() && !e.ariaLabel && !e.labels?.length).map((e) => e.outerHTML)"""
    )
    assert unnamed == []
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement !== document.getElementById('canvas')")


def test_the_page_takes_the_keys_that_napari_takes(at) -> None:
    keys = pytest.importorskip("graticule.napari.keys").KEYS
    page = at()
    ours = page.evaluate(KEYS_OF_STEPS)
    theirs = {key.step: key.key for key in keys}
    assert {step: ours.get(step) for step in theirs} == theirs


def test_a_volume_is_looked_through_plane_by_plane(tmp_path, chromium) -> None:
    write_points(tmp_path / "out", "stack", count=6, shape=(9, 80, 100))
    with Server(tmp_path / "out", "--audit", "0.5") as server:
        page = open_page(chromium, server.address)  # with one result and a name nothing is asked
        ready(page)
        item = until_item(page)
        z, y, x = known(page, f"known.items.get({item}).position_um")
        assert known(page, "view.z") == round(z)
        page.keyboard.press("PageDown" if round(z) > 0 else "PageUp")
        ready(page)
        press(page, "y")
        seen = lines_of(journal_of(tmp_path / "out" / "stack", "ada"))[-1]["seen_um"]
        planes = sorted((round(z), round(z) + (-1 if round(z) > 0 else 1)))
        assert [seen[0][0], seen[1][0]] == pytest.approx([planes[0] - 0.5, planes[1] + 0.5])
        until_field(page)
        page.keyboard.press("c")
        page.wait_for_selector("#said.refused")
        assert page.inner_text("#said").startswith("You saw planes")
        for _ in range(9):
            page.keyboard.press("PageDown")
        for _ in range(9):
            page.keyboard.press("PageUp")
        assert press(page, "c") == "Saved: checked the frame."
        page.context.close()
