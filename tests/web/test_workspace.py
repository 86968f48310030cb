from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graticule.errors import FormatError, SettingsError, StoreError
from graticule.web.limits import Limits
from graticule.web.workspace import FullError, UnknownUserError, Workspaces, checked_user, new_user

DAY_S = 86400


@pytest.fixture
def workspaces(tmp_path: Path):
    with_limits = Workspaces(tmp_path / "users", Limits(user_bytes=1000, keep_days=2, upload_hours=1))
    yield with_limits
    with_limits.close()


def test_every_new_user_has_another_number_and_it_is_accepted() -> None:
    users = {new_user() for _ in range(100)}
    assert len(users) == 100
    assert all(checked_user(user) == user for user in users)


@given(
    st.one_of(st.text(), st.sampled_from(["..", "../" * 10, "a" * 21, "a" * 65, "a" * 30 + "\n", "ä" * 30, "/" * 30]))
)
def test_what_is_no_number_of_ours_names_no_folder(user: str) -> None:
    if len(user) < 22:
        with pytest.raises(UnknownUserError, match="need the cookie"):
            checked_user(user)
        return
    try:
        checked_user(user)
    except UnknownUserError:
        return
    assert user.isascii()
    assert all(letter.isalnum() or letter in "-_" for letter in user)


def test_asking_for_a_folder_makes_none(workspaces: Workspaces) -> None:
    """Or visitors without number would fill the disk with empty ones."""
    assert not workspaces.of(new_user()).folder.exists()
    assert workspaces.all() == []


def test_what_a_user_keeps_is_listed_by_name_and_can_be_removed(workspaces: Workspaces) -> None:
    workspace = workspaces.of(new_user())
    assert workspace.images() == []
    workspace.make()
    for name in ("b.tif", "a.tif", ".uploading-x.tif"):
        (workspace.place("images") / name).write_bytes(b"123")
    assert [(held.name, held.bytes) for held in workspace.listing("images")] == [("a.tif", 3), ("b.tif", 3)]
    workspace.remove("images", "a.tif")
    assert [file.name for file in workspace.images()] == ["b.tif"]


@pytest.mark.parametrize("name", ["../models/m.safetensors", "..", "", "/etc/passwd", ".uploading-x.tif", "a.tif\0"])
def test_names_come_from_the_list_and_are_no_paths(workspaces: Workspaces, name: str) -> None:
    workspace = workspaces.of(new_user())
    workspace.make()
    (workspace.place("models") / "m.safetensors").touch()
    (workspace.place("images") / ".uploading-x.tif").touch()
    for ask in (workspace.find, workspace.remove):
        with pytest.raises(FormatError, match="among your images"):
            ask("images", name)
    assert (workspace.place("models") / "m.safetensors").exists()


def test_a_folder_is_nobody_elses_to_read(workspaces: Workspaces) -> None:
    workspace = workspaces.of(new_user())
    workspace.make()
    assert workspace.folder.stat().st_mode & 0o077 == 0


def test_the_name_that_others_see_does_not_give_the_number_away(workspaces: Workspaces) -> None:
    user = new_user()
    assert workspaces.of(user).who == workspaces.of(user).who
    assert user[:6] not in workspaces.of(user).who


def test_who_has_no_room_left_is_told_so_in_one_line(workspaces: Workspaces) -> None:
    workspace = workspaces.of(new_user())
    workspace.check_room(1000)
    workspace.make()
    (workspace.results / "large").write_bytes(bytes(600))
    workspace.check_room(400)
    with pytest.raises(FullError, match=r"found 600 bytes of yours .* 401 bytes more .* need at most 1 kB"):
        workspace.check_room(401)


def test_who_did_not_come_back_is_removed_and_who_did_stays(workspaces: Workspaces) -> None:
    gone, here = workspaces.of(new_user()), workspaces.of(new_user())
    for workspace in (gone, here):
        workspace.make()
        os.utime(workspace.folder / ".seen", (0, time.time() - 3 * DAY_S))
    workspaces.of(here.user)  # is here
    assert workspaces.clean() == [gone.user]
    assert not gone.folder.exists()
    assert here.folder.exists()
    assert [path.name for path in workspaces.folder.iterdir() if path.is_dir()] == [here.user]


def test_a_folder_that_is_held_is_never_removed(workspaces: Workspaces) -> None:
    user = new_user()
    workspaces.hold(user)
    workspaces.hold(user)
    later = time.time() + 100 * DAY_S
    assert workspaces.clean(later) == []
    workspaces.let_go(user)
    assert workspaces.clean(later) == []
    workspaces.let_go(user)
    assert workspaces.clean(later) == [user]


def test_uploads_that_were_given_up_are_removed(workspaces: Workspaces) -> None:
    workspace = workspaces.of(new_user())
    workspace.make()
    half, kept = workspace.place("images") / ".uploading-x.tif", workspace.place("images") / "S1.tif"
    for file in (half, kept):
        file.touch()
    workspaces.clean(time.time())
    assert half.exists()  # it may still be under way
    workspaces.clean(time.time() + 2 * 3600)
    assert not half.exists()
    assert kept.exists()


def test_two_servers_do_not_share_a_folder(workspaces: Workspaces) -> None:
    with pytest.raises(StoreError, match=r"found another server at work in this folder; need one at a time"):
        Workspaces(workspaces.folder)
    workspaces.close()
    Workspaces(workspaces.folder).close()


def test_a_new_server_finds_users_but_no_half_uploads(tmp_path: Path) -> None:
    first = Workspaces(tmp_path)
    workspace = first.of(new_user())
    workspace.make()
    (workspace.place("models") / ".uploading-x.safetensors").touch()
    (tmp_path / ".going-someone").mkdir()
    first.close()
    second = Workspaces(tmp_path)
    assert [one.user for one in second.all()] == [workspace.user]
    assert list(workspace.place("models").iterdir()) == []
    second.clean()
    assert not (tmp_path / ".going-someone").exists()
    second.close()


def test_a_place_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made"):
        Workspaces(tmp_path / "file")


def test_limits_of_nothing_are_refused() -> None:
    with pytest.raises(SettingsError, match="found keep_days 0; need a number above 0"):
        Limits(keep_days=0)
