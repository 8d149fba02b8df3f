"""A rich app on each cloud, byte for byte.

After an intended change: `PORTABLE_RENEW_GOLDEN=1 pytest tests/unit/compile/test_golden.py`, then read the diff.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from portable.compile import compile_app
from portable.compile.render import render_yaml
from portable.provider import Profile, load_provider
from portable.spec import load_app
from portable.spec.model import Cluster
from portable.spec.profile import check_profile
from portable_kind.profile import profile as kind_profile

pytestmark = pytest.mark.unit
FOLDER = Path(__file__).parent
CLOUDS = ("aws", "azure", "gcp", "kind")


def profile_of(cloud: str) -> Profile:
    return kind_profile(self_built=True) if cloud == "kind" else load_provider(cloud).profile(Cluster())


def rendered(cloud: str) -> str:
    profile = profile_of(cloud)
    loaded = load_app(FOLDER / "rich.yaml", environment=cloud, profile_check=lambda app: check_profile(app, profile))
    return render_yaml(compile_app(loaded.app, profile, secret_digests={"token": "0123abcd"}))


@pytest.mark.parametrize("cloud", CLOUDS)
def test_output_is_what_it_was(cloud: str) -> None:
    golden = FOLDER / "golden" / f"{cloud}.yaml"
    text = rendered(cloud)
    if os.environ.get("PORTABLE_RENEW_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_the_order_of_keys_in_the_spec_changes_nothing(tmp_path: Path) -> None:
    spec = yaml.safe_load((FOLDER / "rich.yaml").read_text(encoding="utf-8"))
    ordered = ("workloads", "resources", "environments")
    turned = {key: dict(reversed(value.items())) if key in ordered else value for key, value in spec.items()}
    for entry in turned["workloads"].values():
        for container in entry["containers"].values():
            if "variables" in container:
                container["variables"] = dict(reversed(container["variables"].items()))
    file = tmp_path / "portable.yaml"
    file.write_text(json.dumps(turned), encoding="utf-8")
    profile = profile_of("kind")
    first = compile_app(load_app(FOLDER / "rich.yaml", environment="kind").app, profile)
    assert render_yaml(compile_app(load_app(file, environment="kind").app, profile)) == render_yaml(first)
