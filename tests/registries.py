"""Real image registries for tests: Debian's `docker-registry` on loopback, with or without a password, one process each."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx

from portable.provider import RegistryLogin
from tests.packages import need
from tests.ports import free_ports


@dataclass(frozen=True)
class LocalRegistry:
    """`server` is "127.0.0.1:PORT"; `log` the file of its access log."""

    server: str
    log: Path
    login: RegistryLogin | None = None

    def digest(self, repository: str, reference: str) -> str | None:
        """The digest that the registry itself tells for a manifest; None where there is none."""
        accept = ", ".join(
            f"application/vnd.{kind}"
            for kind in (
                "oci.image.index.v1+json",
                "oci.image.manifest.v1+json",
                "docker.distribution.manifest.list.v2+json",
                "docker.distribution.manifest.v2+json",
            )
        )
        answer = self._get(f"manifests/{reference}", repository, {"Accept": accept})
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        found = answer.headers["Docker-Content-Digest"]
        assert found == f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
        return found

    def has_blob(self, repository: str, digest: str) -> bool:
        return self._get(f"blobs/{digest}", repository, {}).status_code == 200

    def _get(self, path: str, repository: str, headers: dict[str, str]) -> httpx.Response:
        if self.login is not None:
            pair = f"{self.login.username}:{self.login.password}"
            headers = headers | {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        return httpx.get(f"http://{self.server}/v2/{repository}/{path}", headers=headers)


@contextmanager
def registry(folder: Path, *, password: str = "") -> Iterator[LocalRegistry]:
    """A registry with its storage in `folder`, for as long as the block runs; with `password` for the user "someone"."""
    program = need("docker-registry")
    folder.mkdir(parents=True, exist_ok=True)
    server = f"127.0.0.1:{free_ports(1)[0]}"
    login = RegistryLogin(server, "someone", password) if password else None
    config = [
        "version: 0.1",
        "log: {level: info, accesslog: {disabled: false}}",
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}, delete: {{enabled: true}}}}",
        f"http: {{addr: {server}}}",
    ]
    if password:
        (folder / "htpasswd").write_text(_htpasswd("someone", password))
        config.append(f"auth: {{htpasswd: {{realm: test, path: {folder / 'htpasswd'}}}}}")
    (folder / "config.yml").write_text("\n".join(config))
    log = folder / "log"
    with log.open("w") as said:
        process = subprocess.Popen([program, "serve", folder / "config.yml"], stdout=said, stderr=subprocess.STDOUT)
    try:
        _wait(server, process, log)
        yield LocalRegistry(server, log, login)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _htpasswd(user: str, password: str) -> str:
    import bcrypt

    return f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n"


def _wait(server: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"http://{server}/v2/").status_code in (200, 401):
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"the registry at {server} does not answer: {log.read_text()}")
