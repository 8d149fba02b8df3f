"""A Docker credential helper: what `crane` asks for user names and passwords, so that none is written to a file.

It answers with the logins that this command was given (in the environment of the process that asks) and else as the user's own
Docker configuration would. Protocol: https://github.com/docker/docker-credential-helpers, "Development".
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOGINS = "PORTABLE_REGISTRY_LOGINS"
USERS_CONFIG = "PORTABLE_USERS_DOCKER_CONFIG"
NOT_FOUND = "credentials not found in native keychain"


def answer(server: str, environment: Mapping[str, str]) -> str | None:
    """The helper's answer for `server` ("HOST" or a URL of it) as JSON; None where nothing is known of it."""
    host = server.partition("://")[2] or server
    host = host.partition("/")[0]
    given = json.loads(environment.get(LOGINS) or "{}")
    if host in given:
        return json.dumps({"ServerURL": server, **given[host]})
    return _as_the_user(server, host, _config(Path(environment.get(USERS_CONFIG) or Path.home() / ".docker")))


def _config(folder: Path) -> Mapping[str, Any]:
    try:
        return json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return {}


def _as_the_user(server: str, host: str, config: Mapping[str, Any]) -> str | None:
    helper = config.get("credHelpers", {}).get(host) or config.get("credsStore")
    if helper:
        done = subprocess.run(
            [f"docker-credential-{helper}", "get"], input=server, capture_output=True, text=True, check=False
        )
        return done.stdout if done.returncode == 0 else None
    auths = config.get("auths", {})
    entry = auths.get(server) or auths.get(host) or auths.get(f"https://{host}")
    if not entry:
        return None
    if entry.get("identitytoken"):
        return json.dumps({"ServerURL": server, "Username": "<token>", "Secret": entry["identitytoken"]})
    name, _, password = base64.b64decode(entry.get("auth", "")).decode().partition(":")
    return json.dumps({"ServerURL": server, "Username": name, "Secret": password}) if name else None


def main() -> int:
    found = answer(sys.stdin.read().strip(), os.environ) if sys.argv[1:] == ["get"] else None
    print(found or NOT_FOUND)
    return 0 if found else 1


if __name__ == "__main__":
    raise SystemExit(main())
