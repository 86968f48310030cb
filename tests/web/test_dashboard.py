"""The dashboard in a real browser, from an upload to a table that says what the command line says.

Pictures of the pages are kept in build/screenshots, to be looked at.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

pytest.importorskip("gradio", reason="the extra [web] is not installed")

from graticule import io
from graticule.cli.app import run
from graticule.image import Image
from graticule.results import Labels
from tests.synthetic import scattered
from tests.web.serving import ROOT, Board

SHOTS = Path(os.environ.get("GRATICULE_SCREENSHOTS", ROOT / "build" / "screenshots"))
UM = 0.0006


@pytest.fixture(scope="module")
def board(tmp_path_factory, chromium, disc_model) -> Iterator[Board]:
    """A server with one model, and a folder that may be pointed at."""
    folder = tmp_path_factory.mktemp("board")
    for name in ("models", "root"):
        (folder / name).mkdir()
    disc_model.save(folder / "models" / "discs.safetensors")
    example = scattered(
        7, count=30, shape=(420, 400), gap_px=26, kind=[0, 1] * 15, kinds=("6nm", "12nm"), diameter_px=(10, 20)
    )
    io.write(example.image, folder / "discs.tif")
    io.write(example.image, folder / "root" / "on-the-server.tif")
    write_dataset(folder / "root" / "to-learn")
    io.write(Image(np.full((120, 140), 180, np.uint8), "yx", (UM, UM)), folder / "empty.tif")
    with Board(folder / "work", "--models", str(folder / "models"), "--root", str(folder / "root")) as started:
        started.files = folder
        yield started


def write_dataset(folder: Path) -> None:
    """Four annotated images of discs."""
    for seed in range(4):
        example = scattered(
            seed, count=10, shape=(160, 160), gap_px=26, kind=[0, 1] * 5, kinds=("6nm", "12nm"), diameter_px=(10, 20)
        )
        for part in ("images", "points"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        io.write(example.image, folder / "images" / f"d{seed}.tif")
        io.write(example.truth, folder / "points" / f"d{seed}.csv", on=example.image)


@pytest.fixture
def page(board, chromium) -> Iterator[Page]:
    """A visitor's own window; at its end nothing may have failed in it, and nobody else may have been asked for anything."""
    opened = Page(chromium, board)
    yield opened
    assert opened.faults == [] and opened.elsewhere == []
    opened.window.context.close()


class Page:
    """The dashboard as somebody uses it."""

    def __init__(self, chromium: Any, board: Board) -> None:
        self.board = board
        self.window = chromium.new_context(viewport={"width": 1500, "height": 1150}).new_page()
        self.window.set_default_timeout(40_000)
        self.faults: list[str] = []
        self.elsewhere: list[str] = []
        self.window.on("pageerror", lambda error: self.faults.append(str(error)))
        self.window.on("request", lambda request: self._note(request.url))
        self.open()

    def _note(self, address: str) -> None:
        if not address.startswith((f"http://127.0.0.1:{self.board.port}/", "data:", "blob:")):
            self.elsewhere.append(address)

    def open(self) -> None:
        self.window.goto(self.board.address)
        self.window.get_by_role("button", name="Find", exact=True).wait_for()
        self.window.wait_for_function("() => document.querySelector('input[aria-label=\"Model or method\"]')?.value")

    def upload(self, file: Path) -> None:
        self.window.locator("input[type=file]").first.set_input_files(str(file))
        self.window.locator("table[data-name=images]", has_text=file.name).wait_for()

    def choose(self, label: str, option: str) -> None:
        self.window.get_by_label(label, exact=True).click()
        self.window.get_by_role("option", name=option).first.click()

    def find(self, model: str, pixel_um: str = "") -> None:
        self.choose("Model or method", model)
        if pixel_um:
            self.window.get_by_label("Pixel size (µm)").fill(pixel_um)
        self.window.get_by_role("button", name="Find", exact=True).click()
        self.ready()

    def ready(self) -> Any:
        """The picture's frame, once it shows what there is."""
        self.window.wait_for_selector("iframe.g-view", timeout=150_000)
        frame = self.frame()
        frame.wait_for_function("() => window.graticule?.known.sheet && !window.graticule.known.busy")
        self.window.wait_for_selector("table[data-name=counts]")
        return frame

    def frame(self) -> Any:
        """Its element may be there before it is."""
        for _ in range(100):
            found = [frame for frame in self.window.frames if "/view/" in frame.url]
            if found:
                return found[-1]
            self.window.wait_for_timeout(100)
        raise AssertionError("the picture is not opened")

    def slide(self, label: str, value: str) -> None:
        """Move a slider, and wait until the picture shows what came of it."""
        frame = self.ready()
        before = frame.evaluate("() => window.graticule.known.sheet.version")
        number = self.window.get_by_label(f"number input for {label}")
        number.fill(value)
        number.press("Enter")
        frame.wait_for_function(
            "v => window.graticule.known.sheet.version > v && !window.graticule.known.busy", arg=before
        )

    def counts(self) -> dict[str, str]:
        rows = self.window.locator("table[data-name=counts] tbody tr")
        return {
            rows.nth(i).locator("th").inner_text(): rows.nth(i).locator("td").first.inner_text()
            for i in range(rows.count())
        }

    def expect_counts(self, wanted: dict[str, str]) -> None:
        """Numbers beside the picture follow it at once, not at the same time."""
        words = ", ".join(f"{kind} {count}" for kind, count in wanted.items())
        for _ in range(100):
            if self.counts() == wanted:
                return
            self.window.wait_for_timeout(100)
        raise AssertionError(f"the page says {self.counts()}, not {words}")

    def tool(self, name: str) -> None:
        self.window.frame_locator("iframe.g-view").locator(f"[data-tool={name}]").click()

    def click(self, *um: float) -> None:
        """On the picture, at a place in µm ``(z,) y, x``; returns when it is saved."""
        frame = self.ready()
        y, x = frame.evaluate("um => window.graticule.view.toScreen(um)", list(um[-2:]))
        box = self.window.frame_locator("iframe.g-view").locator("#canvas").bounding_box()
        before = frame.evaluate("() => window.graticule.known.sheet.version")
        self.window.mouse.click(box["x"] + x, box["y"] + y)
        frame.wait_for_function(
            "v => window.graticule.known.sheet.version > v && !window.graticule.known.busy", arg=before
        )

    def download(self, kind: str, folder: Path) -> Path:
        with self.window.expect_download() as started:
            self.window.locator(f"a.g-link[data-kind={kind}]").click()
        path = folder / started.value.suggested_filename
        started.value.save_as(path)
        return path

    def shoot(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.window.wait_for_timeout(700)
        self.window.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def rows(path: Path) -> dict[str, dict[str, str]]:
    return {row["particle_id"]: row for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())}


def on_the_command_line(image: Path, model: str, out: Path, *words: str) -> Path:
    assert run(["predict", str(image), "--model", model, *words, "-o", str(out), "--quiet"]) == 0
    return out / image.name.split(".")[0]


def of_classes(table: dict[str, dict[str, str]], kinds: tuple[str, ...]) -> dict[str, str]:
    return {kind: str(sum(row["class"] == kind for row in table.values())) for kind in kinds}


def test_from_an_upload_to_a_table_that_says_what_the_command_line_says(page, board, tmp_path) -> None:
    image, model, kinds = board.files / "discs.tif", str(board.files / "models" / "discs.safetensors"), ("6nm", "12nm")
    page.upload(image)
    assert page.window.get_by_label("Pixel size (µm)").input_value() == "0.0006 0.0006"
    page.find("discs")
    first = on_the_command_line(image, model, tmp_path / "first")
    page.expect_counts(of_classes(rows(first / "objects.csv"), kinds))
    assert page.download("csv", tmp_path).read_bytes() == (first / "objects.csv").read_bytes()

    page.slide("confidence, 6nm", "0.93")
    page.slide("confidence, 12nm", "0.905")
    second = rows(
        on_the_command_line(image, model, tmp_path / "second", "--threshold", "0.93", "0.905") / "objects.csv"
    )
    page.expect_counts(of_classes(second, kinds))
    assert 0 < len(second) < len(rows(first / "objects.csv"))
    assert rows(page.download("csv", tmp_path)) == second

    gone = next(iter(second.values()))
    page.tool("remove")
    page.click(float(gone["y_um"]), float(gone["x_um"]))
    page.tool("add")
    page.click(200.5 * UM, 3.2 * UM)
    after = rows(page.download("csv", tmp_path))
    page.expect_counts(of_classes(after, kinds))
    (added,) = after.keys() - second.keys()
    assert after.keys() - {added} == second.keys() - {gone["particle_id"]}
    assert all(after[number] == second[number] for number in after.keys() & second.keys())
    assert float(after[added]["y_um"]) == pytest.approx(200.5 * UM, abs=2 * UM)
    page.shoot("beads")


def test_what_was_done_is_there_after_a_reload_and_after_a_restart(page, board, tmp_path) -> None:
    page.upload(board.files / "discs.tif")
    page.find("discs")
    page.slide("confidence, 6nm", "0.93")
    page.tool("add")
    page.click(200.5 * UM, 3.2 * UM)
    table = rows(page.download("csv", tmp_path))
    wanted = of_classes(table, ("6nm", "12nm"))
    page.expect_counts(wanted)
    page.open()
    page.ready()
    page.expect_counts(wanted)
    board.kill()
    board.start()
    page.faults.clear()  # of requests to a server that was not there
    page.open()
    page.ready()
    page.expect_counts(wanted)
    assert rows(page.download("csv", tmp_path)) == table


def test_nothing_found_is_a_result(page, board, tmp_path) -> None:
    page.upload(board.files / "empty.tif")
    page.find("discs")
    page.expect_counts({"6nm": "0", "12nm": "0"})
    assert rows(page.download("csv", tmp_path)) == {}
    assert page.download("report", tmp_path).stat().st_size > 1000
    page.shoot("nothing-found")


def test_an_image_of_the_server_is_pointed_at_and_two_visitors_see_their_own(board, chromium) -> None:
    ada, bob = Page(chromium, board), Page(chromium, board)
    ada.choose("Images", "on-the-server.tif")
    ada.window.locator("table[data-name=images]", has_text="on-the-server").wait_for()
    ada.find("discs")
    bob.open()
    assert bob.window.locator("iframe.g-view").count() == 0
    for one in (ada, bob):
        assert one.faults == [] and one.elsewhere == []
        one.window.context.close()


def test_a_volume_has_planes_and_its_mask_is_that_of_the_command_line(page, tmp_path) -> None:
    rng = np.random.default_rng(0)
    grey = 190 + rng.normal(0, 5, (6, 200, 220))
    texture = gaussian_filter(rng.normal(size=grey.shape), (0, 1.5, 1.5))
    grey[:, :, :110] = (120 + texture / texture.std() * 30)[:, :, :110]
    io.write(Image(np.clip(grey, 0, 255).astype(np.uint8), "zyx", (0.05, 0.01, 0.01)), tmp_path / "stack.tif")
    page.upload(tmp_path / "stack.tif")
    page.find("tissue-texture")
    frame = page.window.frame_locator("iframe.g-view")
    assert frame.locator("#plane").inner_text() == "4 of 6"
    frame.locator("#z").fill("1")
    assert frame.locator("#plane").inner_text() == "2 of 6"
    page.slide("confidence, tissue", "0.9")
    frame.locator("#heat").select_option(index=1)
    page.shoot("volume")
    made = on_the_command_line(tmp_path / "stack.tif", "tissue-texture", tmp_path / "cli", "--threshold", "0.9")
    wanted = np.asarray(io.read(f"{made}/confidence.ome.zarr:/labels/mask").data[...])
    found = np.asarray(io.read(page.download("labels", tmp_path)).data[...])
    assert wanted.any() and np.array_equal(found > 0, wanted > 0)
    share = f"{np.mean(wanted > 0):.2%}"
    assert share in page.window.locator("table[data-name=counts]").inner_text()


def test_rosettes_are_outlined_taken_out_and_told_as_on_the_command_line(page, tmp_path) -> None:
    image = flower(tmp_path / "flower.tif")
    page.upload(image)
    page.find("rosettes-vertices")
    made = rows(on_the_command_line(image, "rosettes-vertices", tmp_path / "cli") / "objects.csv")
    assert made, "the flower is a rosette"
    page.expect_counts({"rosette": str(len(made))})
    assert rows(page.download("csv", tmp_path)) == made
    gone = next(iter(made.values()))
    page.tool("remove")
    page.click(float(gone["y_um"]), float(gone["x_um"]))
    page.expect_counts({"rosette": str(len(made) - 1)})
    assert rows(page.download("csv", tmp_path)).keys() == made.keys() - {gone["particle_id"]}
    page.shoot("rosettes")


def flower(path: Path) -> Path:
    """Labelled cells, six of which meet in a point, among others that meet by threes."""
    yy, xx = np.indices((160, 160)).astype(float)
    angle = np.arctan2(yy - 80, xx - 80)
    petals = (np.floor((angle + np.pi) / (np.pi / 3)).astype(int) % 6) + 1
    radius = np.hypot(yy - 80, xx - 80)
    bricks = 10 + (yy // 20).astype(int) * 12 + ((xx + 10 * ((yy // 20) % 2)) // 22).astype(int)
    cells = np.where(radius < 34, petals, bricks)
    io.write(Labels(Image(cells.astype(np.uint16), "yx", (0.2, 0.2))), path)
    return path


def test_a_report_opens_from_the_disk_without_asking_anybody(page, chromium, board, tmp_path) -> None:
    page.upload(board.files / "discs.tif")
    page.find("discs")
    report = page.download("report", tmp_path)
    window = chromium.new_context().new_page()
    asked: list[str] = []
    window.on("request", lambda request: asked.append(request.url))
    window.goto(report.as_uri())
    assert window.locator("h1").count() == 1 and "6nm" in window.inner_text("body")
    assert [a for a in asked if a != report.as_uri() and not a.startswith("data:")] == []
    window.context.close()


def test_a_job_is_listed_and_can_be_cancelled(page, board) -> None:
    page.upload(board.files / "discs.tif")
    page.find("discs")
    page.window.get_by_role("tab", name="Jobs").click()
    page.window.locator("article[data-state=finished]").wait_for()
    page.shoot("jobs")
    page.window.get_by_role("button", name="Remove").first.click()
    page.window.get_by_text("No jobs yet.").wait_for()


def test_a_model_is_learnt_watched_stopped_and_used(page, board) -> None:
    window = page.window
    window.get_by_role("tab", name="Train").click()
    window.wait_for_function("() => document.querySelector('input[aria-label=\"Dataset\"]')?.value === 'to-learn'")
    settings = (
        "epochs = [400]\nsteps = 2\nbatch = 2\npatch_px = 64\nwidth = 0.25\nneck_channels = 16\nhead_channels = 16"
    )
    window.locator("label:has-text('Settings') textarea").fill(settings)
    window.get_by_label("Name of the model").fill("mine")
    window.get_by_role("button", name="Train", exact=True).click()
    window.locator("img.g-drawing").first.wait_for()
    page.shoot("training")
    window.get_by_role("button", name="Stop, and keep the best so far").first.click()
    window.get_by_text("mine.safetensors is among your models").wait_for()
    window.get_by_role("tab", name="Analyse").click()
    page.upload(board.files / "discs.tif")
    page.find("mine (yours)")
    assert page.counts().keys() == {"6nm", "12nm"}


@pytest.mark.real
def test_beads_on_real_gold_are_those_of_the_command_line(page, board, shared_data, tmp_path) -> None:
    image, model = (
        shared_data / "gold-synapses" / "images" / "S1.jpg",
        str(board.files / "models" / "discs.safetensors"),
    )
    page.upload(image)
    page.find("discs", "0.0005587")
    same_image = ("--spacing-um", "0.0005587")

    def at(threshold: str) -> dict[str, dict[str, str]]:
        """What the command line finds from that confidence of 6 nm beads, once the page counts as many."""
        page.slide("confidence, 6nm", threshold)
        twelve = page.window.get_by_label("number input for confidence, 12nm").input_value()
        words = (*same_image, "--threshold", threshold, twelve)
        found = rows(on_the_command_line(image, model, tmp_path / threshold, *words) / "objects.csv")
        page.expect_counts(of_classes(found, ("6nm", "12nm")))
        return found

    own = rows(on_the_command_line(image, model, tmp_path / "own", *same_image) / "objects.csv")
    page.expect_counts(of_classes(own, ("6nm", "12nm")))
    first = at("0.1")
    confidence = [float(row["confidence"]) for row in first.values() if row["class"] == "6nm"]
    second = at(f"{(min(confidence) + max(confidence)) / 2:.2f}")
    assert 0 < len(second) < len(first)
    gone = next(row for row in second.values() if 0.2 < float(row["y_um"]) < 0.9)
    page.tool("remove")
    page.click(float(gone["y_um"]), float(gone["x_um"]))
    page.tool("add")
    page.click(0.31, 0.52)
    after = rows(page.download("csv", tmp_path))
    (added,) = after.keys() - second.keys()
    assert after.keys() - {added} == second.keys() - {gone["particle_id"]}
    assert all(after[number] == second[number] for number in after.keys() & second.keys())
    page.shoot("gold")
