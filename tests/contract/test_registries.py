"""Images pushed and copied without a daemon, on two real registries, one of them with a password."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from portable import tools
from portable.errors import ProviderError
from portable.events import nowhere
from portable.images import crane
from portable.images.crane import copy
from portable.provider import RegistryLogin
from portable.tools.crane import CRANE
from tests import oci
from tests.registries import LocalRegistry, registry

pytestmark = pytest.mark.contract
PASSWORD = "p4ss-w0rd \"'$x"
FILES = {"hello": b"hello\n" * 100}


@pytest.fixture(scope="module", autouse=True)
def _tool() -> None:
    tools.obtain(CRANE, nowhere)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRegistry]:
    with registry(tmp_path_factory.mktemp("source")) as found:
        yield found


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRegistry]:
    with registry(tmp_path_factory.mktemp("target"), password=PASSWORD) as found:
        yield found


def login_of(found: LocalRegistry) -> RegistryLogin:
    assert found.login is not None
    return found.login


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
@pytest.mark.parametrize("platforms", [("amd64",), ("amd64", "arm64")], ids=["image", "index"])
def test_push_then_copy_keeps_every_byte(
    tmp_path: Path, source: LocalRegistry, target: LocalRegistry, platforms: tuple[str, ...], docker: bool
) -> None:
    name = f"shop/web-{len(platforms)}-{docker}".lower()
    digest = oci.layout(tmp_path, FILES, platforms, docker=docker)
    pushed = crane.push(tmp_path, f"{source.server}/{name}:1.0")
    assert pushed == f"{source.server}/{name}:1.0@{digest}"
    assert source.digest(name, "1.0") == digest

    copied = copy(pushed, f"{target.server}/mirror/{name}", [login_of(target)])
    assert copied == f"{target.server}/mirror/{name}@{digest}"
    assert target.digest(f"mirror/{name}", digest) == digest
    assert target.digest(f"mirror/{name}", "1.0") == digest
    for blob in (tmp_path / "blobs" / "sha256").iterdir():
        content = blob.read_bytes()
        if b'"schemaVersion"' not in content:  # manifests are no blobs of a registry
            assert target.has_blob(f"mirror/{name}", f"sha256:{blob.name}")


def test_a_second_copy_sends_nothing(tmp_path: Path, source: LocalRegistry, target: LocalRegistry) -> None:
    oci.layout(tmp_path, {"a": b"second"})
    pushed = crane.push(tmp_path, f"{source.server}/again:1")
    first = copy(pushed, f"{target.server}/again", [login_of(target)])
    before = len(target.log.read_text())
    assert copy(pushed, f"{target.server}/again", [login_of(target)]) == first
    sent = target.log.read_text()[before:]
    assert '"GET /v2/' in sent or '"HEAD /v2/' in sent, "the log says nothing: this test could not fail"
    assert '"PUT /v2/' not in sent
    assert '"POST /v2/' not in sent


def test_a_copy_by_digest_alone_gets_a_tag(tmp_path: Path, source: LocalRegistry, target: LocalRegistry) -> None:
    digest = oci.layout(tmp_path, {"a": b"untagged"})
    crane.push(tmp_path, f"{source.server}/untagged:x")
    copied = copy(f"{source.server}/untagged@{digest}", f"{target.server}/untagged", [login_of(target)])
    assert copied.endswith(digest)
    assert target.digest("untagged", digest.replace(":", "-")[:19]) == digest


def test_a_wrong_password_is_refused_in_words(tmp_path: Path, source: LocalRegistry, target: LocalRegistry) -> None:
    oci.layout(tmp_path, {"a": b"refused"})
    pushed = crane.push(tmp_path, f"{source.server}/refused:1")
    with pytest.raises(ProviderError) as caught:
        copy(pushed, f"{target.server}/refused", [RegistryLogin(target.server, "someone", "wrong")])
    assert "logged in" in caught.value.fix
    assert "wrong" not in f"{caught.value.message} {caught.value.detail}".replace("wrong-", "")
    with pytest.raises(ProviderError):
        copy(pushed, f"{target.server}/refused")
    assert target.digest("refused", "1") is None


def test_an_image_that_is_not_there(source: LocalRegistry, target: LocalRegistry) -> None:
    assert crane.digest(f"{source.server}/nothing:1") is None
    with pytest.raises(ProviderError, match="there is no image"):
        copy(f"{source.server}/nothing:1", f"{target.server}/nothing", [login_of(target)])


def test_no_registry_at_all() -> None:
    with pytest.raises(ProviderError):
        crane.digest("127.0.0.1:1/nothing:1")


def test_the_users_own_login_stands_in(tmp_path: Path, target: LocalRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `docker login` left it: no login is handed over."""
    import base64

    login = login_of(target)
    auth = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {target.server: {"auth": auth}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    digest = oci.layout(tmp_path / "image", {"a": b"own login"})
    assert crane.push(tmp_path / "image", f"{target.server}/own:1").endswith(digest)


def test_the_password_is_in_no_argument_and_no_file(
    tmp_path: Path, target: LocalRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrapper in crane's place notes its arguments and every file of its configuration, then runs it."""
    real = tools.require(CRANE)
    seen = tmp_path / "seen"
    wrapper = tmp_path / "crane"
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {seen}\ncat "$DOCKER_CONFIG"/* >> {seen}\nexec {real} "$@"\n')
    wrapper.chmod(stat.S_IRWXU)
    monkeypatch.setattr(tools, "require", lambda _tool: wrapper)
    oci.layout(tmp_path / "image", {"a": b"arguments"})
    crane.push(tmp_path / "image", f"{target.server}/arguments:1", [login_of(target)])
    assert "push" in seen.read_text()
    assert "credsStore" in seen.read_text()
    assert PASSWORD not in seen.read_text()
    assert "p4ss" not in seen.read_text()
    assert PASSWORD not in repr(login_of(target))
