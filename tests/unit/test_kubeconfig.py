"""The user's kubeconfig: read as kubectl reads it, and written without losing anything of theirs."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
import yaml

from portable import kubeconfig
from portable.access import exec_kubeconfig
from portable.errors import PortableError, UsageError

pytestmark = pytest.mark.unit

THEIRS = """\
# my clusters
apiVersion: v1
kind: Config
preferences: {}
clusters:
- cluster:
    server: https://one.example   # the old one
  name: one
# keep this
contexts:
- context:
    cluster: one
    user: me
  name: one
current-context: one
users:
  - name: me
    user:
      client-certificate: certs/me.crt
      client-key: /keys/me.key
"""
OURS = exec_kubeconfig("acme", "shop", "https://shop.example", "Q0E=", region="here")
NAME = "portable-acme-shop"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config"
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def _names(document: dict[str, object], key: str) -> list[str]:
    return [entry["name"] for entry in document[key]]  # type: ignore[attr-defined]


def test_entries_are_added_and_comments_stay(file: Path) -> None:
    file.write_text(THEIRS)
    file.chmod(0o640)
    done = kubeconfig.merge(OURS, switch=True)
    assert (done.path, done.context, done.switched) == (file, NAME, True)
    text = file.read_text()
    kept = [line for line in THEIRS.splitlines() if not line.startswith("current-context")]
    assert [line for line in text.splitlines() if line in kept] == kept, "every line of theirs is there, in its order"
    found = yaml.safe_load(text)
    assert found["current-context"] == NAME
    for key in ("clusters", "contexts", "users"):
        assert _names(found, key) == [_names(yaml.safe_load(THEIRS), key)[0], NAME]
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert os.listdir(file.parent) == ["config"], "nothing is left beside it"


def test_merging_again_replaces_what_is_ours_and_nothing_else(file: Path) -> None:
    file.write_text(THEIRS)
    kubeconfig.merge(OURS, switch=True)
    once = file.read_text()
    kubeconfig.merge(OURS, switch=True)
    assert file.read_text() == once
    kubeconfig.merge(OURS.replace("shop.example", "new.example"), switch=True)
    assert file.read_text() == once.replace("shop.example", "new.example")


def test_the_current_context_stays_where_that_is_asked(file: Path) -> None:
    file.write_text(THEIRS)
    kubeconfig.merge(OURS, switch=False)
    assert yaml.safe_load(file.read_text())["current-context"] == "one"


@pytest.mark.parametrize(
    "theirs",
    [
        "",
        "{}\n",
        json.dumps(yaml.safe_load(THEIRS)),
        "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: null\nusers: []\n",
        THEIRS.replace("current-context: one\n", ""),
        THEIRS.removesuffix("\n"),
        THEIRS
        + "- name: last\n  user:\n    note: |\n      several\n      lines\n".replace("- name", "  - name")
        .replace("\n  user", "\n    user")
        .replace("\n    note", "\n      note")
        .replace("\n      several\n      lines", "\n        several\n        lines"),
    ],
    ids=["empty", "nothing", "json", "empty-lists", "no-current", "no-newline", "block-text"],
)
def test_any_way_to_write_it_is_merged(theirs: str, file: Path) -> None:
    file.write_text(theirs)
    before = yaml.safe_load(theirs) or {}
    kubeconfig.merge(OURS, switch=True)
    found, added = yaml.safe_load(file.read_text()), json.loads(OURS)
    for key in ("clusters", "contexts", "users"):
        assert found[key] == [*(before.get(key) or []), *added[key]]
    assert found["current-context"] == NAME


def test_a_file_that_is_not_there_is_made_for_this_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new/folder/config"
    monkeypatch.setenv("KUBECONFIG", str(path))
    kubeconfig.merge(OURS, switch=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert yaml.safe_load(path.read_text())["current-context"] == NAME


def test_a_link_stays_one(file: Path) -> None:
    real = file.with_name("real")
    real.write_text(THEIRS)
    file.symlink_to(real)
    kubeconfig.merge(OURS, switch=True)
    assert file.is_symlink()
    assert NAME in real.read_text()


def test_of_several_files_the_one_that_has_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}{os.pathsep}{first}{os.pathsep}{second}")
    first.write_text(THEIRS)
    second.write_text(OURS)
    assert kubeconfig.merge(OURS, switch=True).path == second
    assert first.read_text() == THEIRS
    second.unlink()
    assert kubeconfig.merge(OURS, switch=True).path == first


def test_a_file_that_is_no_kubeconfig_is_left_alone(file: Path) -> None:
    for broken in ("a: [", "- a list"):
        file.write_text(broken)
        with pytest.raises(PortableError, match=str(file)):
            kubeconfig.merge(OURS, switch=True)
        assert file.read_text() == broken


def test_two_writers_do_not_lose_each_others_entries(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(THEIRS)
    file.with_name("config.lock").touch()
    monkeypatch.setattr(kubeconfig, "_LOCK_SECONDS", 0.1)
    with pytest.raises(PortableError, match="is being written by another program") as refusal:
        kubeconfig.merge(OURS, switch=True)
    assert "config.lock" in refusal.value.fix
    assert file.read_text() == THEIRS


def test_a_context_is_found_with_what_it_refers_to(file: Path) -> None:
    file.write_text(THEIRS + "  - name: other\n    user: {token: theirs}\n")
    found = json.loads(kubeconfig.of_context("one"))
    assert found["current-context"] == "one"
    assert [entry["name"] for entry in found["users"]] == ["me"], "no other user's secrets"
    user = found["users"][0]["user"]
    assert user["client-certificate"] == str(file.parent / "certs/me.crt"), "relative to its own file"
    assert user["client-key"] == "/keys/me.key"


def test_of_several_files_the_first_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second"):
        (tmp_path / name).write_text(THEIRS.replace("one.example", f"{name}.example"))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'first'}{os.pathsep}{tmp_path / 'second'}")
    found = json.loads(kubeconfig.of_context("one"))
    assert found["clusters"][0]["cluster"]["server"] == "https://first.example"


def test_a_context_that_is_not_there_is_told_with_those_that_are(file: Path) -> None:
    file.write_text(THEIRS)
    with pytest.raises(UsageError, match="no kubeconfig context is called 'two'") as refusal:
        kubeconfig.of_context("two")
    assert refusal.value.detail == f"contexts in {file}: one"


def test_the_account_that_was_chosen_is_chosen_for_kubectl_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_PROFILE", "prod")
    monkeypatch.delenv("ACME_HOME", raising=False)
    document = yaml.safe_load(
        exec_kubeconfig("acme", "shop", "https://shop.example", "", choices=("ACME_PROFILE", "ACME_HOME"))
    )
    plugin = document["users"][0]["user"]["exec"]
    assert plugin["env"] == [{"name": "ACME_PROFILE", "value": "prod"}]
    assert "env" not in yaml.safe_load(OURS)["users"][0]["user"]["exec"]
