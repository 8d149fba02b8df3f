"""The source's routes lead to the target and back, under load, with no request lost. Both live in one cluster here: the target behind
a load balancer of its own (tests/clouds/load_balancers.py), as an app in a cloud does."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from portable.certificates import self_signed
from portable.compile import compile_app
from portable.errors import ProviderError
from portable.events import nowhere
from portable.kube import Kube
from portable.migrate.cutover import Forwarding, smoke
from portable.migrate.cutover.addresses import INGRESS
from portable.migrate.sides import Side, Sides
from portable.provider import KubeObject
from portable.rollout.ownership import owned_digest
from tests import soak
from tests.clouds.load_balancers import load_balancers
from tests.e2e.conftest import AppUnderTest, Cluster, Portable
from tests.e2e.databases_moving import side_of
from tests.e2e.promises import CLIENTS, build_images, subject
from tests.e2e.web import fetch
from tests.load import load

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


class _Elsewhere:
    """A cloud that can nothing but run the app."""

    name = "elsewhere"
    title = "Elsewhere"


@dataclass(frozen=True)
class Moving:
    """`host` is served plainly, `secure` over TLS; both answer with a greeting that tells the sides apart."""

    sides: Sides
    host: str
    secure: str
    url: str
    secure_url: str

    def forwarding(self, **options: Any) -> Forwarding:
        return Forwarding(self.sides, nowhere, **options)

    def greeting(self) -> str:
        return fetch(self.url).body.decode().split()[0]

    def secure_greeting(self) -> str:
        return fetch(self.secure_url).body.decode().split()[0]

    def ingress(self) -> KubeObject:
        found = self.sides.source.kube.list(*INGRESS, self.sides.source.namespace)
        assert len(found) == 1
        return found[0]


@pytest.fixture(scope="module")
def moving(
    portable: Portable,
    cluster: Cluster,
    movers_image: None,
    leave: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Moving]:
    build_images()
    name = f"routed-{secrets.token_hex(2)}"
    app = AppUnderTest(name, cluster, tmp_path_factory.mktemp("routed") / "routed.yaml", portable)
    host, secure = f"{name}.localhost", f"secure-{name}.localhost"
    web = subject(host, replicas=1)
    web["routes"]["secure"] = {"host": secure, "tls": "auto"}
    app.write({"web": web}, environments={each: _environment(each) for each in ("old", "new")})
    try:
        portable("up", "-e", "old", "--yes", app.file)
        source = side_of(app, "source", "old")
        with _elsewhere(app) as target:
            urls = [next(url for url in _urls(app) if urlsplit(url).hostname == name) for name in (host, secure)]
            yield Moving(Sides(f"m{secrets.token_hex(3)}", source, target), host, secure, *urls)
    finally:
        leave("-e", "old", app.file)


def _environment(greeting: str) -> dict[str, Any]:
    return {"cloud": "kind", "workloads": {"web": {"containers": {"main": {"variables": {"GREETING": greeting}}}}}}


def _urls(app: AppUnderTest) -> list[str]:
    found = app.portable("outputs", "-e", "old", "--output", "json", app.file).json()
    return [str(value) for key, value in found.items() if key.endswith(".url")]


@contextmanager
def _elsewhere(app: AppUnderTest) -> Iterator[Side]:
    """The app's other environment behind a load balancer of its own."""
    kube, found = app.cluster.kube, side_of(app, "target", "new")
    balanced = f"balanced-{app.name}"
    profile = replace(found.app.profile, ingress=replace(found.app.profile.ingress, class_name=balanced))
    nothing: Any = _Elsewhere()
    opened = replace(found.app, provider=nothing, profile=profile)
    side = Side("target", opened, kube, compile_app(opened.app, profile))
    try:
        with load_balancers(kube, [balanced]):
            kube.apply(side.objects.items[0].manifest)
            for expected in side.objects.expected:
                kube.apply(_certificate(side, expected.name, expected.certificate_hosts[0]))
            for item in side.objects.items[1:]:
                kube.apply(item.manifest)
            _wait_balanced(side)
            yield side
    finally:
        kube.delete("v1", "Namespace", side.namespace)
        for kind, version in (("Deployment", "apps/v1"), ("Service", "v1")):
            kube.delete(version, kind, f"balancer-{balanced}", "portable-ingress")


def _certificate(side: Side, name: str, host: str) -> KubeObject:
    chain, key = (base64.b64encode(text.encode()).decode() for text in self_signed(host))
    metadata = {"name": name, "namespace": side.namespace}
    data = {"tls.crt": chain, "tls.key": key}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": data}


def _wait_balanced(side: Side) -> None:
    end = time.monotonic() + 180
    while problems := smoke(side, timeout=5):
        assert time.monotonic() < end, problems


def test_smoke_asks_the_sides_own_addresses(moving: Moving) -> None:
    for side in (moving.sides.source, moving.sides.target):
        assert smoke(side) == ()


def test_no_request_is_lost_on_the_way_there_and_back(moving: Moving, say: Callable[[str], None]) -> None:
    before = moving.ingress()
    with load(moving.url, *CLIENTS) as record:
        time.sleep(2)
        assert moving.greeting() == "old"
        began = time.monotonic()
        moving.forwarding().start()
        there = time.monotonic()
        assert (moving.greeting(), moving.secure_greeting()) == ("new", "new")
        moving.forwarding().start()  # once more: it is there
        time.sleep(3)
        back = time.monotonic()
        moving.forwarding().undo()
        assert (moving.greeting(), moving.secure_greeting()) == ("old", "old")
        moving.forwarding().undo()
        time.sleep(2)
    say(f"forwarding: there in {there - began:.1f} s, back in {time.monotonic() - back:.1f} s; {record.summary()}")
    assert not record.failed()
    assert {each.body.split()[0] for each in record.responses if each.stream == "fresh"} == {b"old", b"new"}
    after = moving.ingress()
    for part in ("spec", "labels", "annotations"):
        assert _part(after, part) == _part(before, part)
    assert owned_digest(after) == owned_digest(before), "the next `up` finds nothing changed"


def _part(ingress: KubeObject, name: str) -> Any:
    return ingress["spec"] if name == "spec" else ingress["metadata"].get(name)


@pytest.mark.parametrize("waits", range(1, soak.size(1, 2) + 1))
def test_what_broke_off_is_gone_on_with_or_undone(moving: Moving, waits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It breaks off in each of its waits; going on and going back both end well."""
    before = moving.ingress()
    for then in ("start", "undo"):
        with monkeypatch.context() as patched:
            _break_off(patched, waits)
            with pytest.raises(ProviderError, match="broken off"):
                moving.forwarding().start()
        getattr(moving.forwarding(), then)()
        assert moving.greeting() == ("new" if then == "start" else "old")
        moving.forwarding().undo()
        assert _part(moving.ingress(), "spec") == _part(before, "spec")


def _break_off(patched: pytest.MonkeyPatch, waits: int) -> None:
    real, left = Forwarding._until, [waits]

    def until(self: Forwarding, what: str, check: Any) -> None:
        if left[0] == 0:
            raise ProviderError("broken off")
        left[0] -= 1
        real(self, what, check)

    patched.setattr(Forwarding, "_until", until)


def test_nothing_of_it_is_left(moving: Moving) -> None:
    source: Kube = moving.sides.source.kube
    for api_version, kind in (("v1", "Service"), ("v1", "ConfigMap"), ("networking.k8s.io/v1", "NetworkPolicy")):
        found = source.list(api_version, kind, moving.sides.source.namespace, label_selector="portable.dev/migration")
        assert not found
