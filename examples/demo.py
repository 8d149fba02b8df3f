"""`make demo`: the shop on a real kind cluster, from nothing to a request that it answers.

Runs the commands that a user would: doctor --fix, the images, up, outputs. Safe to repeat.
"""

from __future__ import annotations

import json
import secrets
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SHOP = Path(__file__).resolve().parent / "shop"
PORTABLE = Path(sys.executable).with_name("portable")
PATIENCE = 30.0  # seconds for the worker to take up a job


def main() -> None:
    run(PORTABLE, "doctor", "--fix", "--cloud", "kind")
    run("make", "images")
    with tempfile.TemporaryDirectory() as folder:  # 0700: the secret's value is nobody else's to read
        token = Path(folder) / "token"
        token.write_text(secrets.token_hex(16))
        run(PORTABLE, "up", "-e", "dev", "--yes", "--secret", f"api-token={token}")
    url = json.loads(read(PORTABLE, "outputs", "-e", "dev", "--output", "json"))["workloads.web.routes.shop.url"]
    item = ask(url, "POST", "/api/items", {"name": "tea"})
    print(f"\nPOST {url}api/items\n  {item}")
    print(f"GET {url}api/items\n  {finished(url, item['id'])}")
    print(
        f"\nThe shop runs: {url}\nLook around: examples/shop/README.md. End it: portable destroy -e dev examples/shop/portable.yaml"
    )


def run(*command: str | Path) -> None:
    print(f"\n$ {' '.join(Path(part).name if part is PORTABLE else str(part) for part in command)}", flush=True)
    done = subprocess.run(command, cwd=SHOP, check=False)
    if done.returncode != 0:
        raise SystemExit(done.returncode)  # the command has said why


def read(*command: str | Path) -> str:
    return subprocess.run(command, cwd=SHOP, check=True, stdout=subprocess.PIPE, text=True).stdout


def finished(url: str, item: int) -> dict[str, Any]:
    """The item once the worker has written its result. Raises SystemExit if that takes longer than PATIENCE."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = next(entry for entry in ask(url, "GET", "/api/items")["items"] if entry["id"] == item)
        if found["result"]:
            return found
        time.sleep(0.5)
    raise SystemExit(f"the worker did not finish item {item} within {PATIENCE:.0f} s: portable logs -e dev worker")


def ask(url: str, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One request by the route's host name, TLS verified. The connection goes to this machine: not every resolver knows
    that *.localhost is here. Raises SystemExit for any answer but 2xx."""
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    plain = socket.create_connection(("127.0.0.1", parts.port or (443 if tls else 80)), timeout=10)
    connection = HTTPConnection(parts.netloc)
    connection.sock = authority().wrap_socket(plain, server_hostname=parts.hostname) if tls else plain
    connection.request(method, path, json.dumps(body) if body else None)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    if not 200 <= answer.status < 300:
        raise SystemExit(f"{method} {url.rstrip('/')}{path} was answered with {answer.status}: {text}")
    return json.loads(text)


def authority() -> ssl.SSLContext:
    """Trusts portable's local authority, which signs the certificates of `tls: auto` on kind."""
    from portable_kind.authority import certificate_file

    return ssl.create_default_context(cafile=certificate_file())


if __name__ == "__main__":
    main()
