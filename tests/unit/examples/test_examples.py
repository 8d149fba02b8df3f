"""The examples are what users copy: each is valid without a warning in every environment, and compiles for every cloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from portable.provider import load_provider, provider_names
from portable.spec import load_app

pytestmark = pytest.mark.unit

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
FILES = {file.parent.name: file for name in ("portable.yaml", "score.yaml") for file in EXAMPLES.glob(f"*/{name}")}
CASES = [
    (name, environment) for name in sorted(FILES) for environment in (None, "dev", "prod")[: 3 if name == "shop" else 1]
]


def test_the_examples_are_these() -> None:
    assert sorted(FILES) == ["hello", "score", "shop"]


@pytest.mark.parametrize(("name", "environment"), CASES)
def test_valid_without_a_warning(name: str, environment: str | None) -> None:
    assert load_app(FILES[name], environment=environment).warnings == ()


@pytest.mark.parametrize("cloud", provider_names())
@pytest.mark.parametrize(("name", "environment"), CASES)
def test_compiles_for_every_cloud(name: str, environment: str | None, cloud: str) -> None:
    from portable.compile import compile_app
    from portable.spec.profile import check_profile

    provider = load_provider(cloud)
    loaded = load_app(FILES[name], environment=environment)
    profile = provider.profile(loaded.app.cluster)
    assert not check_profile(loaded.app, profile)
    objects = compile_app(loaded.app, profile)
    assert set(loaded.app.workloads) <= set(objects.workloads)


def test_the_shop_shows_what_its_readme_says() -> None:
    app = load_app(FILES["shop"], environment="dev").app
    kinds = {name: workload.kind for name, workload in app.workloads.items()}
    assert kinds == {
        "web": "service",
        "api": "service",
        "worker": "worker",
        "uploads": "stateful",
        "report": "cron",
        "migrate": "job",
    }
    assert app.workloads["web"].routes["shop"].tls == "auto"
    assert app.workloads["api"].scale.automatic
    assert app.workloads["api"].after == {"migrate": "complete"}
    assert app.workloads["api"].containers["wait"].before == {"api": "complete"}
