"""What a user of one cloud, or of none, must not pay for: SDKs and the engine stay unimported until they are needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.programs import HELLO

pytestmark = pytest.mark.unit

HEAVY = (
    "azure",
    "boto3",
    "botocore",
    "google.api_core",
    "google.auth",
    "google.cloud",
    "grpc",
    "lightkube",
    "msal",
    "pulumi",
)

# Refuses the import instead of looking for it afterwards, so that the line that asks for it is in the traceback.
SCRIPT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if any(name == heavy or name.startswith(heavy + ".") for heavy in {heavy}):
            raise AssertionError("imported: " + name)

sys.meta_path.insert(0, Refuse())
from portable.cli import main
sys.exit(main({arguments}))
"""


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(heavy=HEAVY, arguments=list(arguments))
    return subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "portable.yaml").write_text(HELLO)
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("validate",),
        ("validate", "--cloud", "all"),
        ("render", "--cloud", "eks"),
        ("render", "--cloud", "gke"),
        ("render", "--cloud", "aks"),
        ("render", "--cloud", "kind"),
        ("lint",),
        ("compare",),
        ("export", "score"),
        ("providers", "list"),
        ("clusters", "list"),
    ],
    ids=" ".join,
)
def test_imports_no_sdk_and_no_engine(arguments: tuple[str, ...], folder: Path) -> None:
    done = _run(folder, *arguments)
    assert done.returncode == 0, done.stderr


def test_an_import_would_be_refused(folder: Path) -> None:
    script = SCRIPT.format(heavy=HEAVY, arguments=["--version"]).replace("sys.exit", "import pulumi\nsys.exit")
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert "imported: pulumi" in done.stderr


MISSING = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Missing())
from portable.cli import main
sys.exit(main({arguments}))
"""


@pytest.mark.parametrize(
    ("cloud", "modules"), [("aws", ("boto3", "botocore")), ("gcp", ("google",)), ("azure", ("azure",))]
)
def test_a_cloud_without_its_sdk_says_what_to_install(cloud: str, modules: tuple[str, ...], folder: Path) -> None:
    script = MISSING.format(missing=modules, arguments=["plan", "--cloud", cloud])
    env = {**os.environ, "AWS_REGION": "eu-central-1", "AZURE_SUBSCRIPTION_ID": "s", "AZURE_DEFAULTS_LOCATION": "here"}
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, env=env, check=False
    )
    assert run.returncode == 1
    assert f"pip install 'portable-deploy[{cloud}]'" in run.stderr
    assert "unexpected" not in run.stderr
