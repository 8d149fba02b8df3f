from __future__ import annotations

from pathlib import Path

import pytest

from portable.errors import ProviderError
from portable.events import Event
from portable.spec.model import Cluster
from portable_kind import Kind, kept_data

pytestmark = pytest.mark.unit


@pytest.fixture
def volumes(data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two apps' volumes; Docker knows no cluster (there is no client)."""
    folder = data / "dev" / "volumes"
    for claim in ("shop/db", "shop/files", "blog/db"):
        (folder / claim).mkdir(parents=True)
        (folder / claim / "content").write_text("x")
    monkeypatch.setenv("PATH", str(data))
    return folder


def test_a_namespace_has_its_claims(volumes: Path) -> None:
    assert Kind().kept_data(Cluster(name="dev"), "shop") == ("shop/db", "shop/files")
    assert Kind().kept_data(Cluster(name="dev"), "none") == ()
    assert Kind().kept_data(Cluster(name="other-cluster"), "shop") == ()


def test_no_namespace_means_the_whole_cluster(volumes: Path) -> None:
    assert Kind().kept_data(Cluster(name="dev"), "") == ("blog/db", "shop/db", "shop/files")


def test_volumes_of_the_default_class_belong_to_their_namespace(volumes: Path) -> None:
    (volumes / "pvc-8f1b0b5e-0000-4000-8000-000000000000_shop_scratch" / "deep").mkdir(parents=True)
    assert Kind().kept_data(Cluster(name="dev"), "shop") == ("shop/db", "shop/files", "shop/scratch")
    Kind().delete_kept_data(Cluster(name="dev"), "shop", lambda _event: None)
    assert [entry.name for entry in volumes.iterdir()] == ["blog"]


def test_deleting_one_namespace_leaves_the_others(volumes: Path) -> None:
    events: list[Event] = []
    Kind().delete_kept_data(Cluster(name="dev"), "shop", events.append)
    assert not (volumes / "shop").exists()
    assert (volumes / "blog" / "db" / "content").read_text() == "x"
    assert events
    Kind().delete_kept_data(Cluster(name="dev"), "shop", events.append)


def test_nothing_outside_the_folder_of_volumes_is_deleted(volumes: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious" / "claim"
    precious.mkdir(parents=True)
    (volumes / "trap").symlink_to(tmp_path / "precious")
    with pytest.raises(ProviderError, match="not a folder of volumes"):
        kept_data.delete("dev", "trap", lambda _event: None)
    assert kept_data.kept("dev", "../../../../precious") == ()
    kept_data.delete("dev", "../../../../precious", lambda _event: None)
    assert precious.exists()
