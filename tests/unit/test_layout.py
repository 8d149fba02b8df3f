"""What the repository and the wheel hold, and what they must not name."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path, PurePosixPath

import pytest
import yaml

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
TOP = {
    ".ci",
    ".editorconfig",
    ".gitignore",
    ".pre-commit-config.yaml",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "docs",
    "examples",
    "portable",
    "providers",
    "pyproject.toml",
    "requirements.lock",
    "schemas",
    "stacks",
    "tests",
}
# Where the packages of the wheel come from: source root -> packages.
PACKAGES = {
    ".": {"portable"},
    "providers": {"portable_aws", "portable_azure", "portable_gcp", "portable_kind"},
    "schemas": {"portable_schemas"},
    "stacks": {"portable_stacks"},
}
# Taken apart, since this file must not name them either.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("proxy", "golang", "org"),
        ("sum", "golang", "org"),
        ("registry", "npmjs", "org"),
        ("crates", "io"),
        ("repo", "maven", "apache", "org"),
        ("repo1", "maven", "org"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("archive", "ubuntu", "com"),
    )
)


def _files(*below: str) -> list[Path]:
    """What a commit of everything here would hold."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *below]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def _is_metadata(name: str) -> bool:
    return PurePosixPath(name).parts[0].endswith(".dist-info")


def test_the_wheel_puts_nothing_generic_into_site_packages(wheel: zipfile.ZipFile) -> None:
    top = {PurePosixPath(name).parts[0] for name in wheel.namelist() if not _is_metadata(name)}
    assert top == {package for packages in PACKAGES.values() for package in packages}


def test_the_wheel_holds_every_file_of_its_packages_and_no_other(wheel: zipfile.ZipFile) -> None:
    wanted = {
        path.relative_to(root).as_posix()
        for root, packages in PACKAGES.items()
        for package in packages
        for path in _files(f"{root}/{package}")
    }
    assert {name for name in wheel.namelist() if not _is_metadata(name)} == wanted
    # What is not Python is what most easily gets lost.
    assert {"portable/spec/starter.yaml", "portable_schemas/app.v1.schema.json"} <= wanted
    assert "portable_kind/node/kubernetes/go.sum" in wanted


def test_the_wheel_brings_the_command_and_the_plugins(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt"))
    entries = ConfigParser()
    entries.read_string(wheel.read(name).decode())
    assert dict(entries["console_scripts"]) == {"portable": "portable.cli:main"}
    assert sorted(entries["portable.providers"]) == ["aws", "azure", "gcp", "kind"]


def test_every_provider_folder_is_in_the_wheel() -> None:
    for root in ("providers", "schemas", "stacks"):
        assert {path.parts[1] for path in _files(root)} == PACKAGES[root]


def test_the_top_of_the_repository() -> None:
    assert {path.parts[0] for path in _files()} <= TOP


def test_no_file_names_a_package_registrys_host() -> None:
    texts = {path: (ROOT / path).read_text("utf-8", errors="replace").lower() for path in _files()}
    assert [str(path) for path, text in texts.items() if any(host in text for host in REGISTRIES)] == []


def test_the_core_names_clouds_as_aliases_of_the_command_line_at_most() -> None:
    """go.mod and go.sum are of Pulumi's own CLI; the command line's help says which names it takes."""
    clouds, sdks = re.compile(r"\b(eks|gke|aks|azure)\b", re.IGNORECASE), re.compile(r"\bboto3\b|\bgoogle\.cloud\b")
    texts = {
        path: (ROOT / path).read_text("utf-8") for path in _files("portable") if path.suffix not in (".mod", ".sum")
    }
    assert [str(path) for path, text in texts.items() if sdks.search(text)] == []
    named = [path for path, text in texts.items() if clouds.search(text)]
    assert [str(path) for path in named if not path.is_relative_to("portable/cli")] == []


def test_pre_commit_runs_what_make_check_runs() -> None:
    subprocess.run([sys.executable, "-m", "pre_commit", "validate-config"], cwd=ROOT, check=True, capture_output=True)
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    (local,) = config["repos"]
    assert local["repo"] == "local"
    recipe = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0].splitlines()[1:]
    checks = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe]
    assert len(checks) == 4
    assert [hook["entry"] for hook in local["hooks"]] == checks
