"""Kubeconfig documents that hold no secret: kubectl asks `portable token` each time it needs one.

Exec plugins: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

EXEC_API = "client.authentication.k8s.io/v1"


def exec_kubeconfig(
    cloud: str, cluster: str, server: str, ca: str, *, region: str | None = None, choices: Sequence[str] = ()
) -> str:
    """YAML (JSON) text. `server`: a URL; `ca`: base64 of the PEM, as clouds give it; empty: publicly trusted. `choices`: variables
    by which the user chose an account (never a secret); those that are set now hold for kubectl too, whatever is chosen then.
    """
    name = f"portable-{cloud}-{cluster}"
    arguments = ["token", "--cloud", cloud, "--cluster", cluster, *(["--region", region] if region else [])]
    plugin: dict[str, Any] = {
        "apiVersion": EXEC_API,
        "command": "portable",
        "args": arguments,
        "interactiveMode": "Never",
    }
    if chosen := [{"name": choice, "value": os.environ[choice]} for choice in choices if os.environ.get(choice)]:
        plugin["env"] = chosen
    trust = {"certificate-authority-data": ca} if ca else {}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, **trust}}],
        "users": [{"name": name, "user": {"exec": plugin}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    return json.dumps(document, indent=2)
