"""The clock: turns what is seen of a workload at one moment into "ready", "failed because", or "go on".

Pure but for the log lines that it fetches, and its memory of since when a sign has held. Times are monotonic seconds,
handed in. Not thread-safe: one thread judges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from portable.compile.objects import CompiledWorkload
from portable.errors import Cause, ClusterError
from portable.provider import KubeObject
from portable.rollout.diagnose import diagnose, timed_out
from portable.rollout.finding import Answers, FetchLog, Finding
from portable.rollout.hints import with_log
from portable.rollout.progress import Progress, progress, shorten
from portable.rollout.view import View

# A sign that is away for less is the same one (waiting reasons alternate with tries).
FORGET = 5.0
# A container without a readiness probe counts as ready the moment it runs: one that dies at once must not pass.
SETTLE = 3.0
# A crash while a stateful peer (a database) is still starting may be the peer's doing: the clock starts when that is ready,
# and the container gets so long for the kubelet's next try.
EXCUSED = 30.0
# So long a probe may be refused while the app answers on another port: it opens one after the other.
ELSEWHERE = 10.0
_ASK_AGAIN = 5.0
# For so long a failed run waits for what else is about to fail, so that all causes are named at once.
SOON = 5.0
_LOGGED_EARLY = ("CrashLoop", "OutOfMemory")
_PEERS_DOING = ("CrashLoop", "ProbeFailing")


@dataclass(frozen=True)
class Judgement:
    """`concerns`: the workload is part of what this run does, so progress is worth telling. `suspect`: it shows a sign that
    will be fatal within `SOON` seconds if it stays."""

    progress: Progress
    ready: bool = False
    cause: Cause | None = None
    concerns: bool = False
    suspect: bool = False


@dataclass
class _Held:
    """A sign that holds since `first`."""

    finding: Finding
    first: float
    last: float
    excused: bool
    lines: tuple[str, ...] = ()
    asked: float = -math.inf
    answered: tuple[int, float] | None = None  # a port of the app that answers, and since when that is known


@dataclass
class _Track:
    """Memory of one workload. `floor` is the controller as the server had it when someone began to wait for it."""

    looks: int = 0
    looked_at: float = -math.inf
    applied_at: float | None = None
    applied_here: bool = False
    awaited_at: float | None = None
    floor: KubeObject | None = None
    done_key: tuple[str, int] | None = None
    done_since: float = -math.inf
    done: bool = False
    held: dict[tuple[str, str], _Held] = field(default_factory=dict)
    cause: Cause | None = None


class Judge:
    def __init__(
        self,
        workloads: Mapping[str, CompiledWorkload],
        fetch_log: FetchLog,
        resources: Mapping[str, str],
        node_autoscaling: bool,
        answers: Answers = lambda _pod, _port: False,
    ) -> None:
        self._workloads, self._fetch_log, self._answers = workloads, fetch_log, answers
        self._resources, self._node_autoscaling = resources, node_autoscaling
        self._tracks = {name: _Track() for name in workloads}

    def awaited(self, name: str, live: KubeObject | None, now: float) -> None:
        """Someone waits for the workload from now on; `live` is its controller as the server has it."""
        track = self._tracks[name]
        track.floor = live or track.floor
        if track.awaited_at is None:
            track.awaited_at = now
            if not track.applied_here:
                track.held.clear()  # signs from before this run: what it applied beside the workload may have cured them

    def judge(self, view: View, now: float, *, synced: bool, trouble: ClusterError | None) -> Judgement:
        """`synced` False: not everything has been listed yet, so the view tells nothing but that time passes."""
        track = self._tracks[view.workload.name]
        far = progress(view)
        if synced:
            self._look(track, view, far, now)
        concerns = track.applied_here or track.awaited_at is not None
        ready = synced and track.cause is None and far.done and _at_floor(track, view) and _settled(track, view, now)
        if concerns and not ready and track.cause is None:
            track.cause = self._fatal(track, now) or _out_of_time(track, view, far, now, trouble)
        if far.done and not ready:
            far = replace(far, done=False, detail="checking that it keeps running")
        return Judgement(
            _with_last_words(far, track, view),
            ready,
            track.cause,
            concerns,
            concerns and track.cause is None and self._suspect(track, now),
        )

    def _look(self, track: _Track, view: View, far: Progress, now: float) -> None:
        if view.applied and track.applied_at is None:
            track.applied_at, track.applied_here = now, track.looks > 0
        _note_done(track, view, far, now)
        track.looks, track.looked_at = track.looks + 1, now
        if view.applied and not far.done:
            found = diagnose(view, resources=self._resources, node_autoscaling=self._node_autoscaling)
            self._hold(track, view, found, now)
        else:
            track.held.clear()

    def _hold(self, track: _Track, view: View, found: tuple[Finding, ...], now: float) -> None:
        peers = self._stateful_peer_starting(view)
        for finding in reversed(found):  # of one key the surest is noted last, and stays
            held = track.held.get(finding.key)
            if held is None:
                excused = peers and finding.cause.sign in _PEERS_DOING
                held = track.held[finding.key] = _Held(finding, now, now, excused)
                if finding.log and finding.cause.sign in _LOGGED_EARLY:
                    held.lines = self._fetch_log(finding.log)
            held.finding, held.last = finding, now
            if held.excused and peers:
                held.first = now
        for key in [key for key, held in track.held.items() if now - held.last > FORGET and not _keeps(view, held)]:
            del track.held[key]

    def _stateful_peer_starting(self, view: View) -> bool:
        """For stateless workloads only: two databases that crash must not excuse each other."""
        return view.workload.controller.kind != "StatefulSet" and any(
            name != view.workload.name
            and peer.controller.kind == "StatefulSet"
            and not self._tracks[name].done
            and self._tracks[name].cause is None
            for name, peer in self._workloads.items()
        )

    def _fatal(self, track: _Track, now: float) -> Cause | None:
        """The surest sign that is there now and has held for longer than its patience."""
        for held in sorted(_present(track), key=lambda held: held.finding.patience):
            if now - held.first >= _patience(held):
                return self._told_in_full(track, held.finding, now)
            if port := self._answers_elsewhere(held, now):
                cause = held.finding.cause
                told = replace(cause, summary=f"{cause.summary}, while the app answers on port {port}")
                return self._told_in_full(track, replace(held.finding, cause=told), now)
        return None

    def _answers_elsewhere(self, held: _Held, now: float) -> int | None:
        """The port on which the app has answered for long enough; asked now and then until one does."""
        if held.answered is None and now - held.asked >= _ASK_AGAIN:
            held.asked = now
            pod = held.finding.cause.pod
            port = next((port for port in held.finding.elsewhere if self._answers(pod, port)), None)
            held.answered = None if port is None else (port, now)
        if held.answered is None or now - held.answered[1] < ELSEWHERE:
            return None
        return held.answered[0]

    def _suspect(self, track: _Track, now: float) -> bool:
        return any(now - held.first >= _patience(held) - SOON for held in _present(track))

    def _told_in_full(self, track: _Track, finding: Finding, now: float) -> Cause:
        cause = finding.cause
        lines = self._fetch_log(finding.log) if finding.log else ()
        crash = next((held for held in track.held.values() if held.lines), None)
        if crash is not None and cause.sign in ("JobFailed", *_LOGGED_EARLY):
            lines = lines or crash.lines
            if cause.exit_code is None:  # a job deletes its pods when it gives up
                known = crash.finding.cause
                cause = replace(cause, pod=known.pod, container=known.container, exit_code=known.exit_code)
        cause = replace(cause, seconds=round(now - _start(track, now), 1))
        return with_log(cause, lines, self._workloads[cause.workload])


def _present(track: _Track) -> list[_Held]:
    return [held for held in track.held.values() if held.last == track.looked_at]


def _patience(held: _Held) -> float:
    excused = held.excused and held.finding.cause.sign == "CrashLoop"
    return held.finding.patience + (EXCUSED if excused else 0.0)


def _keeps(view: View, held: _Held) -> bool:
    """What a job's earlier pod died of is remembered until the job ends."""
    return view.workload.controller.kind == "Job" and held.finding.cause.sign in _LOGGED_EARLY


def _with_last_words(far: Progress, track: _Track, view: View) -> Progress:
    """A job that Kubernetes tries again says at once what its first try died of: the verdict comes with the last one."""
    lines = next((held.lines for held in track.held.values() if held.lines), ())
    if view.workload.controller.kind != "Job" or far.done or not lines:
        return far
    return replace(far, detail=f"{far.detail}: {shorten(lines[-1])}")


def _note_done(track: _Track, view: View, far: Progress, now: float) -> None:
    """Ready at the first look: it was so before this run."""
    track.done = far.done
    if not far.done or view.controller is None:
        track.done_key = None
        return
    key = (view.controller["metadata"]["uid"], view.controller["metadata"].get("generation", 0))
    if track.done_key != key:
        track.done_key, track.done_since = key, now if track.looks else -math.inf


def _at_floor(track: _Track, view: View) -> bool:
    floor, live = track.floor, view.controller
    if floor is None or live is None:
        return live is not None
    old, new = floor["metadata"], live["metadata"]
    if old["uid"] == new["uid"]:
        return new.get("generation", 0) >= old.get("generation", 0)
    return str(new.get("creationTimestamp", "")) >= str(old.get("creationTimestamp", ""))


def _settled(track: _Track, view: View, now: float) -> bool:
    return now - track.done_since >= (0.0 if _proves_itself(view) else SETTLE)


def _proves_itself(view: View) -> bool:
    """Whether being ready means more than having been started."""
    if view.controller is None or view.workload.controller.kind not in ("Deployment", "StatefulSet"):
        return True
    spec = view.controller.get("spec", {})
    probed = all(
        "readinessProbe" in container for container in spec.get("template", {}).get("spec", {}).get("containers", ())
    )
    return probed or bool(spec.get("minReadySeconds")) or spec.get("replicas", 1) == 0


def _start(track: _Track, now: float) -> float:
    if track.applied_here and track.applied_at is not None:
        return track.applied_at
    return track.awaited_at if track.awaited_at is not None else now


def _out_of_time(track: _Track, view: View, far: Progress, now: float, trouble: ClusterError | None) -> Cause | None:
    seconds = now - _start(track, now)
    if seconds < view.workload.timeout:
        return None
    if trouble is not None:
        words = f"{trouble.message}{': ' + trouble.detail if trouble.detail else ''}"
        cause = Cause(view.workload.name, "Timeout", f"not ready after {seconds:.0f} s, and {words}", hint=trouble.fix)
        return replace(cause, seconds=round(seconds, 1))
    known = min(track.held.values(), key=lambda held: held.finding.patience, default=None)
    cause = timed_out(view, known.finding if known else None, far, seconds)
    return with_log(replace(cause, seconds=round(seconds, 1)), known.lines if known else (), view.workload)
