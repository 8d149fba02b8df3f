"""The account on Acme Cloud: its client, its errors in a person's words, and how its clusters are reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from acme_sdk import AcmeError, Client

from portable.access import exec_kubeconfig
from portable.errors import ClusterGone, Problem, ProviderError
from portable.provider import Check, ClusterState, Credentials, Token


@contextmanager
def acme() -> Iterator[Client]:
    """A client whose errors say what to do."""
    try:
        yield Client()
    except AcmeError as error:
        fixes = {
            "NoAccount": "set ACME_CLOUD to the folder of your cloud (nothing else is looked at)",
            "Denied": "let your account do this: `portable providers show acme` lists what is needed",
        }
        fix = fixes.get(error.code, "look at the cloud's console")
        raise ProviderError(f"Acme said no: {error}", fix=fix) from error


def described(client: Client, kind: Any, name: str) -> dict[str, Any] | None:
    try:
        return client.get(kind, name)
    except AcmeError as error:
        if error.code == "NotFound":
            return None
        raise


def find(name: str) -> ClusterState | None:
    with acme() as client:
        found = described(client, "clusters", name)
    return None if found is None else state(found)


def state(found: Mapping[str, Any]) -> ClusterState:
    return ClusterState(found["name"], found["status"] == "READY", found["status"], found["version"], found["uid"])


def credentials(name: str) -> Credentials:
    with acme() as client:
        if described(client, "clusters", name) is None:
            raise ClusterGone(f"there is no cluster {name} on Acme", fix="make it with `portable up --cloud acme`")
        api = client.api(name)
    return Credentials(exec_kubeconfig("acme", name, api["server"], api["ca"]), token=lambda: token(name))


def token(name: str = "") -> Token:
    with acme() as client:
        return Token(*client.sign_in(name))


def identity_problems(identities: Mapping[str, str]) -> Sequence[Problem]:
    """Acme makes an identity when it is first asked for, so only its name can be wrong."""
    return [
        Problem(f"{identity!r} is no identity", path=f"workloads.{name}.identity", expected="lower-case letters")
        for name, identity in identities.items()
        if not identity.islower()
    ]


def bind(name: str, identities: Mapping[str, str]) -> None:
    with acme() as client:
        if described(client, "bindings", name) is not None:
            client.delete("bindings", name)
        if identities:
            client.create("bindings", name, {"identities": dict(identities)})


def checks() -> Sequence[Check]:
    try:
        with acme() as client:
            may = client.may()
    except ProviderError as error:
        return (Check("account", "missing", error.message, error.fix),)
    if not {"*", "clusters"} & set(may):
        return (Check("permissions", "missing", "clusters.write is not allowed", "`portable providers show acme`"),)
    return (Check("account", "ok", "may make clusters"),)
