"""`secret set` and `secret list` against a real API server."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from portable.cli import main
from portable.kube import Kube
from portable.provider import KubeObject

pytestmark = pytest.mark.unit

CLOUD = ["--cloud", "gcp"]
Give = Callable[[bytes], None]


def live(kube: Kube, namespace: str, name: str) -> KubeObject:
    found = kube.get("v1", "Secret", name, namespace)
    assert found is not None
    return found


def values(secret: KubeObject) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in secret["data"].items()}


def test_a_value_goes_from_standard_input_to_the_cluster(app: str, kube: Kube, standard_input: Give) -> None:
    standard_input("gehéim\n".encode())
    assert main(["secret", "set", "api-token", *CLOUD]) == 0
    secret = live(kube, app, "api-token")
    assert values(secret) == {"value": "gehéim".encode()}
    assert secret["type"] == "Opaque"


def test_the_namespace_is_made_with_its_pod_security_label_and_the_secret_carries_the_apps_labels(
    app: str, kube: Kube, standard_input: Give
) -> None:
    standard_input(b"x")
    assert main(["secret", "set", "api-token", *CLOUD]) == 0
    namespace = kube.get("v1", "Namespace", app)
    assert namespace is not None
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    labels = live(kube, app, "api-token")["metadata"]["labels"]
    assert labels["portable.dev/app"] == app
    assert labels["app.kubernetes.io/managed-by"] == "portable"
    assert not any(label.startswith("pod-security") for label in labels)


def test_one_key_after_the_other_keeps_both(app: str, kube: Kube, tmp_path: Path, standard_input: Give) -> None:
    binary = bytes(range(256)) + b"\n"
    (tmp_path / "user.bin").write_bytes(binary)
    assert main(["secret", "set", "pair", "--key", "user", "--from-file", "user.bin", *CLOUD]) == 0
    standard_input(b"pw\r\n")
    assert main(["secret", "set", "pair", "--key", "password", *CLOUD]) == 0
    assert values(live(kube, app, "pair")) == {"user": binary, "password": b"pw"}
    standard_input(b"pw2")
    assert main(["secret", "set", "pair", "--key", "password", *CLOUD]) == 0
    assert values(live(kube, app, "pair")) == {"user": binary, "password": b"pw2"}


def test_registry_credentials_become_a_docker_config(app: str, kube: Kube, tmp_path: Path) -> None:
    (tmp_path / "u").write_text("me")
    (tmp_path / "p").write_text("s3cret")
    arguments = ["--key", "username", "--from-file", "u", "--key", "password", "--from-file", "p"]
    assert main(["secret", "set", "images", *arguments, *CLOUD]) == 0
    secret = live(kube, app, "images")
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    config = json.loads(values(secret)[".dockerconfigjson"])
    login = config["auths"]["registry.example.com"]
    assert (login["username"], login["password"]) == ("me", "s3cret")
    assert base64.b64decode(login["auth"]) == b"me:s3cret"


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (["nothing"], b"x", "api-token, images, pair"),
        (["pair"], b"x", "--key user"),
        (["pair", "--key", "usr"], b"x", "has no key 'usr'"),
        (["pair", "--key", "user", "--key", "user"], b"x", "twice"),
        (["api-token"], b"", "empty"),
        (["images", "--key", "username"], b"me", "'password'"),
    ],
)
def test_wrong_use_is_2_and_sets_nothing(
    app: str,
    kube: Kube,
    standard_input: Give,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    stdin: bytes,
    said: str,
) -> None:
    standard_input(stdin)
    assert main(["secret", "set", *arguments, *CLOUD]) == 2
    assert said in capsys.readouterr().err
    assert kube.get("v1", "Namespace", app) is None


def test_values_are_never_shown(
    app: str, standard_input: Give, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    standard_input(b"sesame-open-7")
    assert main(["secret", "set", "api-token", *CLOUD]) == 0
    assert main(["secret", "list", *CLOUD]) == 0
    assert main(["--verbose", "secret", "list", "--output", "json", *CLOUD]) == 0
    shown = capsys.readouterr()
    encoded = base64.b64encode(b"sesame-open-7").decode()
    assert "sesame" not in shown.out + shown.err
    assert encoded not in shown.out + shown.err
    assert [path for path in tmp_path.rglob("*") if path.is_file() and b"sesame" in path.read_bytes()] == []


def test_list_tells_which_keys_are_set_and_when(
    app: str, standard_input: Give, capsys: pytest.CaptureFixture[str]
) -> None:
    standard_input(b"x")
    assert main(["secret", "set", "pair", "--key", "user", *CLOUD]) == 0
    capsys.readouterr()
    assert main(["secret", "list", "--output", "json", *CLOUD]) == 0
    found = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)["secrets"]}
    assert found["pair"]["keys"] == {"user": True, "password": False}
    assert found["pair"]["changed"].startswith("20")
    assert found["api-token"] == {"name": "api-token", "keys": {"value": False}, "changed": ""}
    assert found["images"]["keys"] == {"username": False, "password": False}
