"""`secret rotate`: a new value for a secret, and new pods for what uses it.

A value of the user's is set, and `up` rolls what reads it. A generated password is another matter, for the database knows it
too. In this order, so that a kill at any moment leaves an app that serves and a command that can be given again:

postgres   the new password into the state and the Secret; then ALTER ROLE; then new pods for what connects. Connections that
           are open go on. Between ALTER ROLE and its own end, a pod from before cannot open another one.
redis      the server takes both passwords; state and Secret; new pods for what connects; then the server itself starts anew
           with the new one alone, which takes its clients a moment.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from portable.compile.app import pod_template
from portable.drift import applied_objects
from portable.errors import ClusterError, UsageError
from portable.events import Emit
from portable.exec import choose_container, command_for, execute
from portable.plan import open_engine
from portable.restart import live_controller, restart_workloads
from portable.rollout.restore import references
from portable.running import Running, open_running
from portable.situation import live_fields, local_images, pinned_images
from portable.spec.model import Database
from portable.steps import step
from portable.target import Request, compile_target

if TYPE_CHECKING:
    from portable.compile.objects import Objects
    from portable.provider import KubeObject

# PostgreSQL's own: scram_iterations
_SCRAM_ITERATIONS = 4096
_LONG_RUNNING = ("Deployment", "StatefulSet")


@dataclass(frozen=True)
class Rotated:
    """`restarted`: workloads with new pods. `lost`: what could not be kept from being noticed, in words."""

    name: str
    restarted: tuple[str, ...]
    lost: str
    seconds: float


def rotate_value(request: Request, name: str, values: Mapping[str, bytes], *, emit: Emit) -> Rotated:
    """Sets `values` of the user's secret `name`, and rolls out what uses it and nothing else.

    Raises UsageError for an unknown name or key, and where an `up` would bring more than this secret; else as `up`.
    """
    from portable.up import up

    started = time.monotonic()
    with open_running(request, emit) as app:
        _require_nothing_else(app, name)
        users = tuple(readers(applied(app), {name}))
        result = up(request, emit=emit, secrets={name: values})
        if result.revision is not None:
            latest = replace(app, last=replace(app.last, number=result.revision))
            latest.note(f"rotated {name}")
    return Rotated(name, users, "", time.monotonic() - started)


def rotate_generated(request: Request, name: str, *, emit: Emit) -> Rotated:
    """A new password for the database `name`, which it and all that connect to it have afterwards.

    Raises ClusterError where the database does not answer, RolloutFailed where a workload cannot become ready with it.
    """
    started = time.monotonic()
    with open_running(request, emit) as app:
        database = app.target.app.resources[name]
        assert isinstance(database, Database), "only databases have generated passwords"
        objects = applied(app)
        holders = tuple(composed_with(objects, name))
        users = {user: live_controller(app, user) for user in readers(objects, {name, *holders}) if user != name}
        new = _new_password()
        choose_container(app.kube, app.namespace, name)  # not ready is known before anything is changed
        app.note(f"rotating the password of {name}")
        if database.type == "redis":
            with step(emit, "password", f"{name} takes a second password"):
                _redis(app, name, new)
        with step(emit, "secret", f"the password of {name} in state and cluster"):
            open_engine(request, emit).app.rotate(
                app.target.home, objects, app.kube, {name: {"password": new}}, (name, *holders)
            )
        if database.type == "postgres":
            with step(emit, "password", f"{name} takes the new password"):
                _postgres(app, name, new)
        restart_workloads(app, users, emit)
        if database.type == "redis":
            restart_workloads(app, {name: live_controller(app, name)}, emit)
        _note(app, objects, name, holders)
    return Rotated(name, tuple(users), _lost(database, users), time.monotonic() - started)


def scram_verifier(password: str, salt: bytes | None = None) -> str:
    """What PostgreSQL stores of a password: the password itself never gets to the server, nor into its log.

    RFC 5803, and src/common/scram-common.c of PostgreSQL. For ASCII passwords, which SASLprep leaves as they are.
    """
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ITERATIONS)
    client, server = (hmac.digest(salted, word, "sha256") for word in (b"Client Key", b"Server Key"))
    parts = [base64.b64encode(part).decode() for part in (salt, hashlib.sha256(client).digest(), server)]
    return f"SCRAM-SHA-256${_SCRAM_ITERATIONS}:{parts[0]}${parts[1]}:{parts[2]}"


def applied(app: Running) -> Objects:
    """What was last applied and became ready (else what the spec compiles to), without credentials that the spec has new."""
    objects = applied_objects(app.now) or app.now.objects
    made = tuple(secret for secret in objects.generated if f"Secret/{secret.name}" in app.last.names)
    return replace(objects, generated=made)


def _postgres(app: Running, name: str, password: str) -> None:
    """By the socket in the pod, which trusts its own container: so it works whatever the password is by now."""
    statement = f"ALTER ROLE CURRENT_USER PASSWORD '{scram_verifier(password)}';\n"
    _tell(app, name, ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1"], statement)


def _redis(app: Running, name: str, password: str) -> None:
    """A hash does: https://redis.io/docs/latest/commands/acl-setuser/"""
    hashed = hashlib.sha256(password.encode()).hexdigest()
    said = _tell(app, name, ["redis-cli"], f"ACL SETUSER default #{hashed}\n")
    if said.strip() != "OK":
        raise ClusterError(f"{name} does not take a second password: {said.strip()}", fix="see `portable logs`")


def _tell(app: Running, name: str, command: Sequence[str], given: str) -> str:
    at = choose_container(app.kube, app.namespace, name)
    words = command_for(app.target.app, name, command)
    done = execute(app.kube, at, words, given=given)
    if done.code != 0:
        raise ClusterError(
            f"{name} does not take the new password: {done.errors.strip() or f'exit code {done.code}'}",
            fix=f"see `portable logs {name}`, then give the same command again",
        )
    return done.output


def composed_with(objects: Objects, name: str) -> Iterator[str]:
    """Secrets that are composed with the password of `name`: files of workloads."""
    for secret in objects.generated:
        if secret.name != name and any(f"${{{name}/" in template for template in secret.templates.values()):
            yield secret.name


def readers(objects: Objects, names: set[str]) -> Iterator[str]:
    """Workloads that go on running and read one of these Secrets."""
    for item in objects.items:
        template = pod_template(item.manifest)
        if template is None or item.workload is None or item.manifest["kind"] not in _LONG_RUNNING:
            continue
        if any(needed.kind == "Secret" and needed.name in names for needed in references(template["spec"])):
            yield item.workload


def _require_nothing_else(app: Running, name: str) -> None:
    """What nobody has looked at is not to be deployed on the way."""
    last = app.last
    target = pinned_images(app.target, (last,)) if app.target.app.builds else app.target
    images = local_images(target, compile_target(target))
    same = compile_target(target, secret_digests=last.secret_versions, image_digests=images)
    if last.status != "good" or same.digest != last.objects_digest:
        what = f"revision {last.number} ({last.action}) {'is not ready' if last.status != 'good' else 'is another version'}"
        raise UsageError(
            "more than this secret has changed since the last `up`, and would be deployed on the way",
            detail=f"{what} than the spec's" if last.status == "good" else what,
            fix=f"look at `portable plan`, then set it with `portable secret set {name}` and run `portable up`",
        )


def _note(app: Running, objects: Objects, name: str, holders: Sequence[str]) -> None:
    """The Secrets' new digests are how things are left; of the other objects nothing was looked at."""
    ours = tuple(secret for secret in objects.generated if secret.name in (name, *holders))
    live = {**app.last.live, **live_fields(app.kube, replace(objects, items=(), generated=ours))}
    app.note(f"rotated the password of {name}", live=live if app.last.live else None)


def _lost(database: Database, users: Mapping[str, KubeObject]) -> str:
    if database.type == "redis":
        return f"connections to {database.name} were closed once, while it started anew"
    if not users:
        return ""
    return f"open connections went on; until they had ended, pods from before could open no new ones to {database.name}"


def _new_password() -> str:
    from portable.engine.types import new_password

    return new_password()
