"""The way between both clusters: tried in order, measured, remembered."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass

from portable.events import Emit, Step
from portable.migrate.sides import Side, Sides
from portable.migrate.transfer.control import Mover, MoverError, ask
from portable.migrate.transfer.model import Path, PathName
from portable.migrate.transfer.objects import base_name, entrance
from portable.migrate.transfer.pairs import FIRST_PORT, LINK, Pair
from portable.provider import KubeObject

STEP = "path"
# A cloud's load balancer takes minutes, and nodes' own ports are worth a try before it is there.
ADDRESS_PATIENCE = 300.0
NODE_PORTS_AFTER = 15.0
_PACE = 2.0
MEASURE_SECONDS = 1.5


@dataclass(frozen=True)
class Way:
    """A path that worked. `address`: of the other end's load balancer or node; "" where this process relays. `node_ports`: the
    address is a node's, and the ports are the Service's node ports."""

    path: Path
    address: str = ""
    node_ports: bool = False

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, text: str) -> Way:
        fields = json.loads(text)
        return cls(Path(**fields["path"]), fields["address"], fields["node_ports"])


def listener(sides: Sides, name: PathName) -> Side | None:
    """Whose Service is dialled."""
    return {"direct": sides.target, "reverse": sides.source, "relayed": None}[name]


def dialled(sides: Sides, way: Way, pairs: Iterable[Pair]) -> Mapping[str, str]:
    """Pair -> "HOST:PORT" that the other end dials; empty where this process relays."""
    side = listener(sides, way.path.name)
    if side is None:
        return {}
    if not way.node_ports:
        return {pair.name: _join(way.address, pair.port) for pair in pairs}
    live = side.kube.get("v1", "Service", base_name(sides.migration), side.namespace) or {"spec": {"ports": ()}}
    ports = {port["port"]: port.get("nodePort", 0) for port in live["spec"]["ports"]}
    return {pair.name: _join(way.address, ports[pair.port]) for pair in pairs}


def choose(
    sides: Sides,
    wanted: Iterable[PathName],
    ends: tuple[Mover, Mover],
    relay: Callable[[], object],
    emit: Emit,
) -> tuple[Way | None, list[str]]:
    """The first way that the link movers find open, and why those before it are not. `relay` starts this process's part."""
    reasons: list[str] = []
    for name in wanted:
        emit(Step(STEP, "progress", detail=f"trying {name}"))
        if name == "relayed":
            relay()
            found, reason = _relayed(ends[0], reasons)
        else:
            found, reason = _dialled(sides, name, ends, reasons, emit)
        if found is not None:
            return found, reasons
        close(sides, name)
        reasons.append(f"{name}: {reason}")
    return None, reasons


def close(sides: Sides, name: PathName) -> None:
    """Takes away the load balancer of a path that is not used."""
    side = listener(sides, name)
    if side is not None:
        side.kube.delete("v1", "Service", base_name(sides.migration), side.namespace)


def _relayed(source: Mover, reasons: list[str]) -> tuple[Way | None, str]:
    try:
        speed = ask(source, "probe", seconds=MEASURE_SECONDS)["bytes_per_second"]
    except MoverError as error:
        return None, error.message
    detail = "; ".join(["through this machine and both API servers", *reasons])
    return Way(Path("relayed", speed, detail)), ""


def _dialled(
    sides: Sides, name: PathName, ends: tuple[Mover, Mover], reasons: list[str], emit: Emit
) -> tuple[Way | None, str]:
    """By the load balancer, else by a node's port, for as long as the load balancer has no address."""
    side = listener(sides, name)
    assert side is not None, "somebody listens"
    dialler = ends[0] if name == "direct" else ends[1]
    service = entrance(side, sides.migration, [Pair(LINK, port=FIRST_PORT)])
    live = side.kube.get("v1", "Service", base_name(sides.migration), side.namespace)
    if live is None:
        side.kube.apply(service)
    began, reason = time.monotonic(), "its load balancer got no address"
    tried: set[str] = set()
    while time.monotonic() - began < ADDRESS_PATIENCE:
        live = side.kube.get("v1", "Service", base_name(sides.migration), side.namespace) or {}
        waited = time.monotonic() - began
        for address, port, node_port in _addresses(side, live, by_nodes=waited > NODE_PORTS_AFTER):
            at = _join(address, port)
            if node_port and at in tried:
                continue
            tried.add(at)
            try:
                speed = ask(dialler, "probe", dial=at, seconds=MEASURE_SECONDS)["bytes_per_second"]
            except MoverError as error:
                reason = f"{at} does not answer: {error.message}"
                continue
            return Way(Path(name, speed, "; ".join([at, *reasons])), address, node_port), ""
        if _has_address(live) and waited > _ANSWERS_AFTER:
            return None, reason
        emit(Step(STEP, "progress", detail=f"{name}: waiting for the load balancer of {side}"))
        time.sleep(_PACE)
    return None, reason


# Names of new load balancers take a while to be known, and new targets to be found healthy.
_ANSWERS_AFTER = 150.0


def _addresses(side: Side, live: KubeObject, *, by_nodes: bool) -> Iterator[tuple[str, int, bool]]:
    """(address, port, whether it is a node's) of the link's port."""
    for entry in live.get("status", {}).get("loadBalancer", {}).get("ingress") or ():
        yield entry.get("ip") or entry.get("hostname", ""), FIRST_PORT, False
    if not by_nodes or _has_address(live):
        return
    ports = [port.get("nodePort", 0) for port in live.get("spec", {}).get("ports", ()) if port["port"] == FIRST_PORT]
    for node in side.kube.list("v1", "Node")[:2]:
        known = {entry["type"]: entry["address"] for entry in node["status"].get("addresses", ())}
        for address in dict.fromkeys(filter(None, (known.get("ExternalIP"), known.get("InternalIP")))):
            for port in filter(None, ports):
                yield address, port, True


def _has_address(live: KubeObject) -> bool:
    return bool(live.get("status", {}).get("loadBalancer", {}).get("ingress"))


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
