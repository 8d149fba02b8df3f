"""A real ACME authority on loopback: Let's Encrypt's Pebble, which proves hosts at the name server that it is given."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from portable.events import nowhere
from portable.tools import go_build
from portable.tools.tool import GoBuild
from tests.certificates import self_signed
from tests.ports import free_ports

PEBBLE = GoBuild(
    name="pebble",
    module=Path(__file__).parent / "pebble_module",
    packages={"pebble": "github.com/letsencrypt/pebble/v2/cmd/pebble"},
    usual=30,
)
START_SECONDS = 60.0


@dataclass(frozen=True)
class Pebble:
    """`ca` is what its own certificate is to be checked with; `log` is what it says."""

    directory: str
    ca: Path
    log: Path
    management: str

    def root(self) -> bytes:
        """The certificate that everything it issues leads to."""
        return _get(f"{self.management}/roots/0", self.ca)


@contextmanager
def serving(folder: Path, name_server: str, *, blocked: Sequence[str] = ()) -> Iterator[Pebble]:
    """`name_server` is ADDRESS:PORT. `blocked`: hosts that it refuses to certify."""
    program = go_build.build(PEBBLE, nowhere) / "pebble"
    port, management = free_ports(2)
    certificate, _key = self_signed(folder, names=["localhost"])
    (folder / "pebble.json").write_text(json.dumps(_configuration(folder, port, management, blocked)))
    found = Pebble(
        f"https://localhost:{port}/dir", certificate, folder / "pebble.log", f"https://localhost:{management}"
    )
    # no random waits, no nonces refused for practice: a test wants one course of events
    environment = os.environ | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}
    command = [program, "-config", folder / "pebble.json", "-dnsserver", name_server]
    with found.log.open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, env=environment) as process:
        try:
            _wait(process, found)
            yield found
        finally:
            process.terminate()
            process.wait(timeout=30)


def _configuration(folder: Path, port: int, management: int, blocked: Sequence[str]) -> object:
    return {
        "pebble": {
            "listenAddress": f"127.0.0.1:{port}",
            "managementListenAddress": f"127.0.0.1:{management}",
            "certificate": str(folder / "server.crt"),
            "privateKey": str(folder / "server.key"),
            "httpPort": 1,
            "tlsPort": 1,
            "domainBlocklist": list(blocked),
            "retryAfter": {"authz": 1, "order": 1},
            "keyAlgorithm": "ecdsa",
            "profiles": {"default": {"description": "90 days", "validityPeriod": 90 * 24 * 3600}},
        }
    }


def _wait(process: subprocess.Popen[bytes], server: Pebble) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            _get(server.directory, server.ca)
            return
        except httpx2.HTTPError:
            time.sleep(0.05)
    pytest.fail(f"pebble did not start:\n{server.log.read_text()[-2000:]}", pytrace=False)


def _get(url: str, ca: Path) -> bytes:
    trust = ssl.create_default_context(cafile=str(ca))
    return httpx2.get(url, verify=trust, trust_env=False).raise_for_status().content


def forms(key_pem: str) -> list[bytes]:
    """How a key could leak: as PEM, and as what a Secret holds."""
    return [key_pem.encode(), base64.b64encode(key_pem.encode()), key_pem.splitlines()[1].encode()]
