"""An image's name is what it is built from: what counts, what does not."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from portable.errors import UsageError
from portable.images.content import content_digest, files
from portable.spec.model import Build

pytestmark = pytest.mark.unit
HERE = ("linux/amd64",)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "app.py").write_text("print(1)")
    (tmp_path / "README.md").write_text("read me")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY src /src\n")
    (tmp_path / ".dockerignore").write_text("# comment\n*.md\n!KEEP.md\n**/__pycache__\n")
    return Build(str(tmp_path))


def test_the_same_again(build: Build) -> None:
    first = content_digest(build, HERE)
    os.utime(Path(build.context) / "src" / "app.py", (1, 1))
    assert content_digest(build, HERE) == first


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda at: (at / "src" / "app.py").write_text("print(2)"),
    "a new file": lambda at: (at / "src" / "new").touch(),
    "an empty folder": lambda at: (at / "src" / "empty").mkdir(),
    "a name": lambda at: (at / "src" / "app.py").rename(at / "src" / "other.py"),
    "executable": lambda at: (at / "src" / "app.py").chmod(0o755),
    "a link": lambda at: (at / "src" / "link").symlink_to("app.py"),
    "the Dockerfile": lambda at: (at / "Dockerfile").write_text("FROM other\n"),
    "an exception of the ignore file": lambda at: (at / "KEEP.md").write_text("keep"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_counts(build: Build, change: str) -> None:
    before = content_digest(build, HERE)
    CHANGES[change](Path(build.context))
    assert content_digest(build, HERE) != before


IGNORED: dict[str, Callable[[Path], object]] = {
    "an ignored file": lambda at: (at / "README.md").write_text("other"),
    "an ignored folder, deep": lambda at: (at / "src" / "__pycache__").mkdir(),
}


@pytest.mark.parametrize("change", IGNORED)
def test_what_does_not_count(build: Build, change: str) -> None:
    before = content_digest(build, HERE)
    IGNORED[change](Path(build.context))
    assert content_digest(build, HERE) == before


def test_the_ignore_file_of_the_dockerfile_comes_first(build: Build) -> None:
    (Path(build.context) / "Dockerfile.dockerignore").write_text("src\n")
    assert "README.md" in files(build)
    assert "src/app.py" not in files(build)
    assert "src/app.py" in files(replace(build, dockerfile="other")), "another Dockerfile's"


def test_how_it_is_built_counts(build: Build) -> None:
    found = {
        content_digest(build, HERE),
        content_digest(build, ("linux/arm64",)),
        content_digest(replace(build, target="x"), HERE),
        content_digest(replace(build, args={"A": "1"}), HERE),
        content_digest(replace(build, args={"A": "2"}), HERE),
    }
    assert len(found) == 5
    assert content_digest(replace(build, sync={"src": "/src"}), HERE) in found


def test_an_ignored_dockerfile_is_still_what_is_built(build: Build) -> None:
    (Path(build.context) / ".dockerignore").write_text("*\n!src\n")
    before = content_digest(build, HERE)
    (Path(build.context) / "Dockerfile").write_text("FROM other\n")
    assert content_digest(build, HERE) != before


def test_what_the_builder_sees(build: Build) -> None:
    assert "src/app.py" in files(build)
    assert "README.md" not in files(build)


def test_a_file_that_cannot_be_read(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another user's file would be; root reads everything, so the refusal is made here."""
    real = Path.open

    def refuse(path: Path, *args: object, **kwargs: object) -> object:
        if path.name == "app.py":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageError, match="cannot be read"):
        content_digest(build, HERE)
