"""A real BIND 9 on loopback, with zones that take signed updates."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from portable.dns.rfc2136 import Rfc2136
from tests.packages import need
from tests.ports import free_ports

KEY = 'key "portable" {\n    algorithm hmac-sha256;\n    secret "cG9ydGFibGUgdGVzdHMsIG5vIHNlY3JldCBhdCBhbGw=";\n};\n'
START_SECONDS = 60.0


@dataclass(frozen=True)
class NameServer:
    """`key` may update the zones; `log` is what the server says."""

    address: str
    key: Path
    log: Path

    @property
    def zones(self) -> Rfc2136:
        return Rfc2136(self.address, self.key)


@contextmanager
def serving(folder: Path, zones: Sequence[str], *, secondary: int = 0) -> Iterator[NameServer]:
    """`secondary`: the port of a second name server of all `zones`, at ::1, which may transfer them."""
    port = free_ports(1)[0]
    server = NameServer(f"127.0.0.1:{port}", folder / "update.key", folder / "named.log")
    server.key.write_text(KEY)
    for zone in zones:
        (folder / f"{zone}.zone").write_text(
            f"$TTL 60\n@ SOA ns.{zone}. admin.{zone}. 1 60 60 600 1\n@ NS ns\nns A 127.0.0.1\n"
            + ("@ NS ns2\nns2 AAAA ::1\n" if secondary else "")
        )
    (folder / "named.conf").write_text(_configuration(folder, port, zones, secondary))
    with _running(folder, server, zones[0]):
        yield server


@contextmanager
def second(folder: Path, primary: NameServer, zones: Sequence[str], port: int) -> Iterator[NameServer]:
    """A name server at ::1 that has its zones from `primary`."""
    server = NameServer(f"[::1]:{port}", folder / "update.key", folder / "named.log")
    server.key.write_text(KEY)
    host, _, its = primary.address.rpartition(":")
    text = _options(folder, port, v6=True)
    for zone in zones:
        text += f'zone "{zone}" {{ type secondary; file "{folder}/{zone}.zone"; primaries {{ {host} port {its}; }}; allow-notify {{ ::1; }}; }};\n'
    (folder / "named.conf").write_text(text)
    with _running(folder, server, zones[0]):
        yield server


@contextmanager
def _running(folder: Path, server: NameServer, zone: str) -> Iterator[None]:
    with (
        server.log.open("wb") as log,
        subprocess.Popen(
            [need("named", "bind9"), "-g", "-c", str(folder / "named.conf")], stdout=log, stderr=log
        ) as process,
    ):
        try:
            _wait(process, server, zone)
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)


def _configuration(folder: Path, port: int, zones: Sequence[str], secondary: int) -> str:
    told = f"also-notify {{ ::1 port {secondary}; }}; allow-transfer {{ 127.0.0.1; }};" if secondary else ""
    return _options(folder, port) + "".join(
        f'zone "{zone}" {{ type primary; file "{folder}/{zone}.zone"; {told} '
        "update-policy { grant portable zonesub ANY; }; };\n"
        for zone in zones
    )


def _options(folder: Path, port: int, *, v6: bool = False) -> str:
    listening = {"listen-on": "none" if v6 else "127.0.0.1", "listen-on-v6": "::1" if v6 else "none"}
    return f"""
include "{folder}/update.key";
options {{
    directory "{folder}";
    pid-file none;
    session-keyfile none;
{"".join(f"    {name} port {port} {{ {where}; }};{chr(10)}" for name, where in listening.items())}    recursion no;
    dnssec-validation no;
    allow-transfer {{ none; }};
    notify-delay 0;
}};
controls {{ }};
"""


def _wait(process: subprocess.Popen[bytes], server: NameServer, zone: str) -> None:
    from portable.errors import ProviderError

    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with suppress(ProviderError):
            if server.zones.zone(zone) == zone:
                return
        time.sleep(0.05)
    pytest.fail(f"the name server did not start:\n{server.log.read_text()[-2000:]}", pytrace=False)
