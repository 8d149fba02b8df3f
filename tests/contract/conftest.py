"""A third party's plugin, installed as anyone would install it, beside the project's own."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ACME = Path(__file__).parent / "acme"


@pytest.fixture(scope="session")
def acme_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for `sys.path` that holds the installed plugin."""
    site = tmp_path_factory.mktemp("acme-site")
    command = ["-m", "uv", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", site, ACME]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return site


@pytest.fixture
def acme_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Acme Cloud. Its clusters' API server is one that nothing answers at."""
    folder = tmp_path / "acme-cloud"
    folder.mkdir()
    api = {"server": "https://127.0.0.1:1", "ca": "", "token": "secret-token"}
    (folder / "api.json").write_text(json.dumps(api))
    monkeypatch.setenv("ACME_CLOUD", str(folder))
    return folder


@pytest.fixture
def acme_installed(acme_site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Importable in this process and in those that it starts, for the time of a test."""
    monkeypatch.syspath_prepend(str(acme_site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(acme_site), os.environ.get("PYTHONPATH")))))
    importlib.invalidate_caches()
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in ("portable_acme", "acme_sdk")]:
        del sys.modules[name]
