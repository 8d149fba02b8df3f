"""Every command of the documents is run, in order, in a fresh folder for each document; what they show has to come out.

Numbers, digests, pod names and times differ from run to run and are not compared. A spec without a cluster of its own gets
the tests' cluster, which is all that is changed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Cluster, Portable
from tests.unit.docs.documents import ROOT, Command, File, documents, steps

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]
DOCUMENTS = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in documents() if steps(path)]
SECONDS = 420
# What Kubernetes makes endings of names from: apimachinery/pkg/util/rand.
_NAME_LETTERS = "[bcdfghjklmnpqrstvwxz2456789]"
_VARYING = (
    (re.compile(rf"-{_NAME_LETTERS}{{6,10}}-{_NAME_LETTERS}{{5}}\b|\b[0-9a-f]{{16,}}\b"), "X"),  # pods' names, digests
    (re.compile(r"\d+(?:\.\d+)?(?:m \d+)?s\b"), "Ns"),
    (re.compile(r"\blocalhost:\d+"), "localhost"),
    (re.compile(r"\d+"), "N"),
    (re.compile(r"[ \t]+"), " "),
)


@pytest.fixture
def folder(tmp_path: Path, portable: Portable) -> Iterator[Path]:
    """With the project's examples beside what the document writes; what it leaves deployed is destroyed."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("build"))
    yield tmp_path
    for spec in tmp_path.glob("*.yaml"):
        if "kind: App" in spec.read_text():
            options = ("--cloud", "kind", "--yes", "--destroy-data", "--keep-cluster")
            portable("destroy", *options, spec, code=None, cwd=tmp_path)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_a_document_shows_is_so(document: Path, folder: Path, portable: Portable, cluster: Cluster) -> None:
    bin_folder = str(Path(sys.executable).parent)
    env = {**portable.env, "PATH": f"{bin_folder}{os.pathsep}{portable.env['PATH']}"}
    for step in steps(document):
        if isinstance(step, File):
            (folder / step.name).write_text(step.content)
            continue
        _use_cluster(folder, cluster.name)
        _run(step, document, folder, env, cluster.name)


def _run(command: Command, document: Path, folder: Path, env: dict[str, str], cluster: str) -> None:
    done = subprocess.run(
        ["bash", "-c", command.text],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    at = f"{document.relative_to(ROOT)}:{command.line}: {command.text}\n{done.stdout}"
    assert "Traceback" not in done.stdout, at
    assert done.returncode == command.code, f"exit code {done.returncode}, not {command.code}: {at}"
    came = {_masked(line) for line in done.stdout.replace(cluster, "portable").splitlines()}
    missing = [line for line in command.output if not _shown(_masked(line), came)]
    assert not missing, f"not in the output: {missing}\n{at}"


def _shown(line: str, came: set[str]) -> bool:
    """A line that ends in "..." stands for any that begins so."""
    start = line.removesuffix("...")
    return line in came or (start != line and any(other.startswith(start.rstrip()) for other in came))


def _masked(line: str) -> str:
    for pattern, word in _VARYING:
        line = pattern.sub(word, line)
    return line.strip()


def _use_cluster(folder: Path, name: str) -> None:
    for spec in folder.glob("*.yaml"):
        text = spec.read_text()
        if "kind: App" in text and "\ncluster:" not in text:
            spec.write_text(f"{text}\ncluster: {{name: {name}}}\n")
