"""What `dev` makes of changed files, and the reason that it gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from portable.images.changes import judge, synced
from portable.images.wanted import Wanted
from portable.spec.model import Build

pytestmark = pytest.mark.unit


def image(folder: Path, **sync: str) -> Wanted:
    for name in ("src/app.py", "src/deep/x.py", "go.mod", "notes.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / ".dockerignore").write_text("*.md\n")
    return Wanted("r:t", Build(str(folder), sync=sync), ("linux/amd64",), (("web", "main"),))


@pytest.mark.parametrize(
    ("names", "action", "reason"),
    [
        (["src/app.py"], "sync", "src/app.py changed"),
        (["src/app.py", "src/deep/x.py"], "sync", "src/app.py and 1 more changed"),
        (["src/app.py", "go.mod"], "build", "go.mod changed, which is under no path of `sync`"),
        (["Dockerfile"], "build", "Dockerfile changed"),
        ([".dockerignore", "src/app.py"], "build", ".dockerignore changed"),
        (["notes.md"], "nothing", ".dockerignore leaves out notes.md"),
        (["notes.md", "src/app.py"], "sync", "src/app.py changed"),
        (["src/gone.py"], "build", "src/gone.py was deleted"),
    ],
)
def test_judged(tmp_path: Path, names: list[str], action: str, reason: str) -> None:
    found = judge(image(tmp_path, src="/app/src"), [tmp_path / name for name in names])
    assert found is not None
    assert found.action == action
    assert found.reason.startswith(reason)
    assert bool(found.files) == (action == "sync")


def test_without_sync_it_is_built(tmp_path: Path) -> None:
    found = judge(image(tmp_path), [tmp_path / "src" / "app.py"])
    assert found is not None
    assert (found.action, found.reason) == ("build", "src/app.py changed, and the build has no `sync`")


def test_what_is_elsewhere_is_not_its_business(tmp_path: Path) -> None:
    (tmp_path / "ctx").mkdir()
    wanted = image(tmp_path / "ctx")
    assert judge(wanted, [tmp_path / "portable.yaml"]) is None
    assert judge(wanted, [tmp_path / "ctx" / "src"]) is None, "a folder's own time"


@pytest.mark.parametrize(
    ("sync", "name", "target"),
    [
        ({"src": "/app/src"}, "src/a/b.py", "/app/src/a/b.py"),
        ({"./src/": "/app/src/"}, "src/b.py", "/app/src/b.py"),
        ({"src": "/x", "src/deep": "/y"}, "src/deep/b", "/y/b"),
        ({"a.txt": "/etc/a.conf"}, "a.txt", "/etc/a.conf"),
        ({".": "/app"}, "any/thing", "/app/any/thing"),
        ({"src": "/x"}, "srcs/b", None),
    ],
)
def test_where_a_file_goes(sync: dict[str, str], name: str, target: str | None) -> None:
    assert synced(Build("/", sync=sync), name) == target
