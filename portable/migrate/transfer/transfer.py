"""One migration's data plane: movers at both ends, the path between them, copies and their proof."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from portable.errors import ClusterError, UsageError
from portable.events import Emit, Notice, Step, Transferred
from portable.migrate.sides import Side, Sides
from portable.migrate.transfer import images, keys, levels, movers, objects, paths
from portable.migrate.transfer.control import Mover, MoverError, ask
from portable.migrate.transfer.model import PATHS, Copied, Path, PathName, Verified, VolumeCopy
from portable.migrate.transfer.pairs import FIRST_PORT, LINK, Pair, free_port, plan
from portable.migrate.transfer.problems import explain
from portable.migrate.transfer.relay import Relay

# Files are sent over so many streams at once; more gain nothing on two cores, and the connections are shared anyway.
STREAMS = 4
# Compression costs more than it saves where the network is quicker than it.
_COMPRESS_BELOW = 150e6
# A connection that breaks is made anew, and the copy goes on where it was.
_TRIES = 4
# While the source stands still nobody waits for a network that is gone: no try begins later than so many seconds.
_TRIES_WHILE_STILL = 30.0


class Transfer:
    """Stateless in this process: keys, movers and the chosen path are in both clusters, by the label
    portable.dev/migration=ID, so that any machine can go on. Every method is idempotent and raises ClusterError, or UsageError
    where it is asked for what does not exist."""

    def __init__(self, sides: Sides, volumes: Sequence[VolumeCopy], emit: Emit) -> None:
        self._sides = sides
        self._volumes = {volume.claim: volume for volume in volumes}
        self._emit = emit
        self._relays: dict[str, Relay] = {}
        self._last: dict[str, Copied] = {}
        self._images: dict[str, str] = {}

    @property
    def _id(self) -> str:
        return self._sides.migration

    @property
    def _both(self) -> tuple[Side, Side]:
        return self._sides.source, self._sides.target

    # -- prepare ---------------------------------------------------------------------------------------------------

    def prepare(self, wanted: Sequence[PathName] = PATHS) -> Path:
        """Keys, movers at both ends, and the first of `wanted` that works, measured. Namespaces and claims must be there."""
        began = time.monotonic()
        self._emit(Step(paths.STEP, "started", title="Finding a way for the data", usual=30))
        for side in self._both:
            side.kube.apply(objects.policy(side, self._id))
        authority = self._keys()
        pairs = movers.pairs(self._sides.source, self._id) or movers.pairs(self._sides.target, self._id)
        pairs = {LINK: Pair(LINK, FIRST_PORT)} | pairs
        way = self._way(pairs[LINK], authority, wanted)
        pairs = plan(tuple(self._volumes.values()), movers.app_pods(self._sides.source, self._id), pairs)
        self._start(pairs, authority, way)
        self._emit(Step(paths.STEP, "done", detail=way.path.name, seconds=time.monotonic() - began))
        return way.path

    def _keys(self) -> str:
        """The authority of the keys that both ends have; made anew where they have none, or not the same."""
        found = {self._authority(side) for side in self._both}
        if len(found) == 1 and (known := found.pop()):
            return known
        made = keys.make(self._id)
        for side, data in ((self._sides.source, made.source), (self._sides.target, made.target)):
            side.kube.apply(objects.secret(side, self._id, made.authority, data))
        return made.authority

    def _authority(self, side: Side) -> str:
        return self._annotations(side).get(objects.AUTHORITY_ANNOTATION, "")

    def _annotations(self, side: Side) -> Mapping[str, str]:
        live = side.kube.get("v1", "Secret", objects.base_name(self._id), side.namespace)
        return (live or {"metadata": {}})["metadata"].get("annotations") or {}

    def _known_way(self) -> paths.Way | None:
        text = self._annotations(self._sides.source).get(objects.PATH_ANNOTATION)
        return paths.Way.of_json(text) if text else None

    def _way(self, link: Pair, authority: str, wanted: Sequence[PathName]) -> paths.Way:
        """The way that is known, if it is wanted and still works; else the first that does."""
        for side in self._both:
            self._apply(side, link, authority, "")
        source, target = (movers.wait(side, self._id, [LINK])[LINK] for side in self._both)
        known = self._known_way()
        order = sorted(wanted, key=lambda name: known is None or name != known.path.name)
        way, reasons = paths.choose(self._sides, order, (source, target), lambda: self._relay(link), self._emit)
        if way is None:
            raise ClusterError(
                "no way for the data was found between the clusters",
                detail="\n".join(reasons),
                fix="let one cluster's load balancers be reached from the other, or allow the relayed path",
            )
        if known is not None and known.path.name != way.path.name:
            paths.close(self._sides, known.path.name)
        if way.path.name != "relayed":
            self.close()
        patch = {"metadata": {"annotations": {objects.PATH_ANNOTATION: way.as_json()}}}
        side = self._sides.source
        side.kube.merge_patch("v1", "Secret", objects.base_name(self._id), patch, side.namespace)
        return way

    def _start(self, pairs: Mapping[str, Pair], authority: str, way: paths.Way) -> None:
        """The movers of all pairs run afterwards, as root where the data needs it."""
        dialled = self._entrance(pairs, way)
        self._run(pairs.values(), authority, way, dialled)
        running = movers.wait(self._sides.source, self._id, pairs)
        surveyed = {name: self._surveyed(pair, running[name]) for name, pair in pairs.items()}
        self._run([pair for name, pair in surveyed.items() if pair != pairs[name]], authority, way, dialled)
        for side in self._both:
            movers.wait(side, self._id, pairs)

    def _run(self, pairs: Collection[Pair], authority: str, way: paths.Way, dialled: Mapping[str, str]) -> None:
        """Both ends of each are as they should be, but may not run yet."""
        if any(pair.root for pair in pairs):
            for side in self._both:
                levels.lower(side)
        for pair in pairs:
            dial = dialled.get(pair.name, "")
            self._apply(self._sides.source, pair, authority, dial if way.path.name == "direct" else "")
            self._apply(self._sides.target, pair, authority, dial if way.path.name == "reverse" else "")

    def _entrance(self, pairs: Mapping[str, Pair], way: paths.Way) -> Mapping[str, str]:
        """Every pair has its port on the load balancer. Returns what each dials."""
        side = paths.listener(self._sides, way.path.name)
        if side is not None:
            side.kube.apply(objects.entrance(side, self._id, pairs.values()))
        # The link only measures: it dials when it is asked to.
        return paths.dialled(self._sides, way, [pair for pair in pairs.values() if pair.name != LINK])

    def _surveyed(self, pair: Pair, mover: Mover) -> Pair:
        """Whether the workload's own user can read it all, and make it again at the other end."""
        if pair.root:
            return pair
        for claim in pair.claims:
            try:
                why = ask(mover, "survey", claim=claim)["needs_root"]
            except MoverError as error:
                raise explain(self._sides, claim, error) from error
            if why:
                self._emit(Notice(f"the movers of {claim} run as root: {why}"))
                return replace(pair, uid=0, group=0, why_root=why)
        return pair

    def _apply(self, side: Side, pair: Pair, authority: str, dial: str) -> None:
        manifests = [item.manifest for item in side.objects.items]
        image = self._images.get(side.role) or images.load(side, self._emit)
        self._images[side.role] = image
        like: Mapping[str, Any] = objects.pod_like(manifests, pair.used_by)
        side.kube.apply(objects.mover(side, self._id, pair, image=image, authority=authority, dial=dial, like=like))

    # -- copies ----------------------------------------------------------------------------------------------------

    def seed(self, claim: str) -> Copied:
        """Copies what differs while the source serves. Files that change or vanish meanwhile are no failure here."""
        return self._copy(claim, final=False)

    def final(self, claim: str) -> Copied:
        """As `seed`, with the source stopped: afterwards both ends are the same in all but content, which `verify` proves.
        Everything is on the target's disk. Raises ClusterError while a pod of the source still mounts the volume."""
        if using := movers.users(self._sides.source, self._id, claim):
            raise ClusterError(
                f"the volume {claim} of the source is still used by {', '.join(using)}",
                fix="stop what uses it: a copy of a volume that is written to is not whole",
            )
        return self._copy(claim, final=True)

    def _copy(self, claim: str, *, final: bool) -> Copied:
        pair = self._pair(claim)
        if using := movers.users(self._sides.target, self._id, claim):
            raise ClusterError(
                f"the volume {claim} of the target is in use by {', '.join(using)}",
                fix="stop the workload on the target: what it writes would be overwritten, and what it reads change under it",
            )
        began = time.monotonic()
        way = self._known_way()
        slow = way is not None and way.path.bytes_per_second < _COMPRESS_BELOW
        details = {"claim": claim, "top": pair.root, "final": final, "compress": slow, "streams": STREAMS}
        done = self._ask(pair, claim, "copy", self._telling(claim, began), details)
        seconds = time.monotonic() - began
        copied = Copied(claim, done["files"], done["bytes"], done["sent_bytes"], seconds, done["changed_files"])
        self._last[claim] = copied
        rate = copied.sent_bytes / seconds if seconds else 0.0
        end = Transferred(claim, copied.bytes, copied.bytes, copied.files, copied.files, rate, 0.0, done=True)
        self._emit(end)
        return copied

    def read_ahead(self, claim: str) -> int:
        """Reads both ends while the source serves. Returns the bytes that `verify` need not read again: those of large files that
        nobody changes meanwhile, as long as the movers run."""
        return self._prove(claim, ahead=True)["known"]

    def verify(self, claim: str) -> Verified:
        """Both ends list by themselves. What differs in content is marked, so that the next copy sends it again."""
        found = self._prove(claim, ahead=False)
        return Verified(claim, found["files"], found["bytes"], found["digest"], tuple(found["differences"] or ()))

    def _prove(self, claim: str, *, ahead: bool) -> Mapping[str, Any]:
        pair, began = self._pair(claim), time.monotonic()
        details = {"claim": claim, "top": pair.root, "ahead": ahead}
        found = self._ask(pair, claim, "verify", self._telling(claim, began), details)
        size, files = found["bytes"], found["files"]
        rate = size / max(time.monotonic() - began, 0.001)
        self._emit(Transferred(claim, size, size, files, files, rate, 0.0, done=True))
        return found

    def _telling(self, claim: str, began: float) -> Callable[[Mapping[str, Any]], None]:
        last = self._last.get(claim)

        def told(far: Mapping[str, Any]) -> None:
            done, total = far["bytes_done"], far["bytes_total"] or (last.bytes if last else 0)
            files = far["files_total"] or (last.files if last else 0)
            rate = done / max(time.monotonic() - began, 0.001)
            left = (
                (total - done) / rate if rate and total >= done and (far["listed"] or not far["bytes_total"]) else None
            )
            self._emit(Transferred(claim, done, max(total, done), far["files_done"], files, rate, left))

        return told

    def _ask(
        self, pair: Pair, claim: str, do: str, told: Callable[[Mapping[str, Any]], None], details: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Asks the source's mover. Where the connection or a mover is lost it waits for them and goes on; not for long once the
        source stands still."""
        still = details["final"] if do == "copy" else not details["ahead"]
        end = time.monotonic() + (_TRIES_WHILE_STILL if still else float("inf"))
        way = self._known_way()
        for attempt in range(1, _TRIES + 1):
            source = self._running(pair)
            if way is not None and way.path.name == "relayed":
                self._relay(pair)
            try:
                return ask(source, do, told, **details)
            except MoverError as error:
                if error.kind != "disconnected" or attempt == _TRIES or time.monotonic() > end:
                    raise explain(self._sides, claim, error) from error
                self._emit(Notice(f"{claim}: {error.message}; trying again", level="warning"))
                time.sleep(attempt)
        raise AssertionError("the last attempt returns or raises")

    def _running(self, pair: Pair) -> Mover:
        """The source's mover, when both ends run."""
        source, _target = (movers.wait(side, self._id, [pair.name])[pair.name] for side in self._both)
        return source

    def _pair(self, claim: str) -> Pair:
        for pair in movers.pairs(self._sides.source, self._id).values():
            if claim in pair.claims:
                return pair
        raise UsageError(f"no mover has the volume {claim}", fix="prepare the transfer first")

    # -- forwarded ports -------------------------------------------------------------------------------------------

    def forward(self, name: str, host: str, port: int) -> tuple[str, int]:
        """(name, port) of a Service in the target's namespace whose connections come out at `host`:`port` as seen from the
        source's namespace. It works for as long as the movers do; where the path is relayed, as long as this process does."""
        way, authority = self._known_way(), self._authority(self._sides.source)
        if way is None or not authority:
            raise UsageError("no way for the data is known yet", fix="prepare the transfer first")
        pairs = movers.pairs(self._sides.source, self._id)
        leads = f"{host}:{port}"
        pair = pairs.get(f"forward-{name}") or Pair(f"forward-{name}", free_port(pairs.values()), forward=leads)
        pair = replace(pair, forward=leads)
        pairs[pair.name] = pair
        source, target = self._both
        source.kube.apply(objects.forward_policy(source, self._id, pair))
        self._run([pair], authority, way, self._entrance(pairs, way))
        target.kube.apply(objects.forward_service(target, self._id, pair, name))
        for side in self._both:
            movers.wait(side, self._id, [pair.name])
        if way.path.name == "relayed":
            self._relay(pair)
        return name, port

    # -- this process's part ---------------------------------------------------------------------------------------

    def _relay(self, pair: Pair) -> None:
        if pair.name in self._relays and self._relays[pair.name].alive:
            return

        def ends() -> tuple[Mover, Mover]:
            source, target = (movers.wait(side, self._id, [pair.name])[pair.name] for side in self._both)
            return source, target

        self._relays[pair.name] = Relay(ends)

    def close(self) -> None:
        """Ends this process's part, which is nothing unless the path is relayed. What is in the clusters stays."""
        for relay in self._relays.values():
            relay.close()
        self._relays.clear()

    def remove(self) -> None:
        """Everything of this migration's transfer at both ends, keys included; the namespaces' levels are put back."""
        self.close()
        for side in self._both:
            gone = []
            for kind, api_version in objects.KINDS.items():
                chosen = objects.selector(self._id)
                for live in side.kube.list(api_version, kind, side.namespace, label_selector=chosen):
                    side.kube.delete(api_version, kind, live["metadata"]["name"], side.namespace)
                    gone.append((api_version, kind, live["metadata"]["name"]))
            for api_version, kind, name in gone:
                if not side.kube.wait_gone(api_version, kind, name, side.namespace, timeout=120):
                    raise ClusterError(
                        f"{kind}/{name} does not go away on {side}", fix="see its finalizers, then repeat"
                    )
            levels.put_back(side)
