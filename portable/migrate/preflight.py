"""What is looked at before anything of a migration begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from portable.errors import ClusterError, UsageError
from portable.kube import Kube
from portable.migrate import home_record
from portable.migrate.inventory import live_claims, take_inventory
from portable.migrate.move import Move, end_of
from portable.migrate.plan import MigrationPlan, Part, Promise, promise
from portable.migrate.steps import STATEFUL, STATELESS
from portable.rollout.revisions import revisions


def look(move: Move) -> MigrationPlan:
    """Raises UsageError where the source or the target is not in a state to move."""
    require_source(move)
    if not move.journal.written:
        _require_free(move)
    counted = move.record.facts("seed").get("volumes") or _measured(move)
    inventory = take_inventory(move.source_side, move.target, move.ways, counted)
    header, path, seeded = move.record.header, move.record.facts("path"), move.record.last("seed")
    return MigrationPlan(
        app=header.app,
        environment=header.environment,
        source=header.source,
        target=header.target,
        stateless=header.stateless,
        inventory=inventory,
        promise=promise(move),
        path=(path["path"], float(path["bytes_per_second"])) if "path" in path else None,
        staged=seeded.at if seeded is not None and seeded.what == "done" else "",
        unfinished=tuple(
            each.name for each in (STATELESS if header.stateless else STATEFUL) if move.record.done(each.name)
        ),
    )


def promise_facts(found: Promise) -> dict[str, Any]:
    return {"downtime": found.downtime, "parts": [asdict(part) for part in found.parts]}


def promise_of(facts: Mapping[str, Any]) -> Promise | None:
    if "downtime" not in facts:
        return None
    return Promise(float(facts["downtime"]), tuple(Part(**part) for part in facts["parts"]))


def require_source(move: Move) -> None:
    """What runs there must be what the spec says: a migration deploys nothing that nobody has looked at. Raises UsageError."""
    if not move.source_may_change:
        return
    home = end_of(move.source)
    record = home_record.read(move.source_kube, move.namespace)
    if record is not None and record.part == "left":
        raise UsageError(
            f"{move.record.header.app} is not at home on {home} any more: it has moved to {record.home}",
            fix=f"name where it is: `portable migrate {record.home} ...`",
        )
    history = revisions(move.source_kube, move.namespace)
    if not history:
        raise UsageError(
            f"{move.record.header.app} does not run on {home}", fix="see where it runs with `portable clusters list`"
        )
    last = history[-1]
    if last.status != "good" or last.spec_digest != move.source.app.digest:
        why = "its last `up` did not end well" if last.status != "good" else "the spec has changed since its last `up`"
        raise UsageError(
            f"{move.record.header.app} cannot be moved as it is: {why}",
            fix=f"bring the source up to date first: `portable up --cloud {home.cloud}`",
        )


def _require_free(move: Move) -> None:
    """The target must have nothing of the app: neither its data nor its passwords."""
    kube, stack = move.target_kube, move.target.home.app_stack
    if kube is not None and (record := home_record.read(kube, move.namespace)) is not None:
        ours = {move.migration, move.record.header.reverses}
        if record.migration in ours or record.part == "arriving":
            return
        if record.part == "left" and move.record.header.reverses:
            return
    state = move.engine.stacks.state(stack)
    there = [] if kube is None else _what_is_there(move, kube)
    if state is not None and state.resources and not there:
        there = ["passwords that were generated there before"]
    if there:
        raise UsageError(
            f"{move.record.header.app} is on {end_of(move.target)} already: {', '.join(there)}",
            detail="moving there would put its data in the place of that",
            fix=f"if it may go: `portable destroy --destroy-data --cloud {move.target.home.cloud}`, then migrate again",
        )


def _what_is_there(move: Move, kube: Kube) -> list[str]:
    if kube.get("v1", "Namespace", move.namespace) is None:
        return []
    claims = [claim["metadata"]["name"] for claim in live_claims(move.target_side)]
    found = [f"the volume claim {name}" for name in claims]
    return [*found, "a revision that was applied"] if revisions(kube, move.namespace) else found


def _measured(move: Move) -> dict[str, Any]:
    """Claim -> {"files", "bytes"}, as the kubelets count what their pods mount. Not every kind of storage is counted, nor may
    everybody ask: then nothing is said of it. https://kubernetes.io/docs/reference/instrumentation/node-metrics/"""
    found: dict[str, Any] = {}
    nodes = {pod["spec"].get("nodeName") for pod in move.source_kube.list("v1", "Pod", move.namespace)}
    for node in sorted(filter(None, nodes)):
        try:
            summary = move.source_kube.raw("GET", f"/api/v1/nodes/{node}/proxy/stats/summary")
        except ClusterError:
            continue
        for pod in summary.get("pods", ()):
            for volume in pod.get("volume", ()) if pod["podRef"]["namespace"] == move.namespace else ():
                if "pvcRef" in volume and "usedBytes" in volume:
                    counted = {"files": volume.get("inodesUsed"), "bytes": volume["usedBytes"]}
                    found[volume["pvcRef"]["name"]] = counted
    return found
