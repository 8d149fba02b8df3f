"""What to do next, in the spec's words."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import replace
from posixpath import dirname

from portable.compile.objects import CompiledWorkload
from portable.errors import Cause

_PATH = re.compile(r"(?<![\w/:.])(/[\w.@+-]+(?:/[\w.@+-]+)*)/?")  # not the inside of a URL or a relative path


def exit_words(code: int) -> str:
    """ "exit code 137 (SIGKILL)": codes above 128 are a shell's or the runtime's way to name a signal."""
    if 128 < code < 160:
        try:
            return f"exit code {code} ({signal.Signals(code - 128).name})"
        except ValueError:
            pass
    return f"exit code {code}"


def for_exit(code: int, workload: str, container: str) -> str:
    place = f"workloads.{workload}.containers.{container}"
    return {
        0: f"a service has to keep running: let {place}.command stay in the foreground, or make it `kind: job`",
        126: f"the command was found but cannot be executed: check {place}.command and that the file has its x bit",
        127: f"the command was not found in the image: check {place}.command and args",
        132: "illegal instruction: the image was built for another CPU",
        134: "the program aborted itself: its last lines say why",
        137: "killed from outside (SIGKILL): out of memory on the node, or a failing liveness probe",
        139: "segmentation fault: a fault in the program or a library of another CPU or libc",
    }.get(code, f"see the last lines of the log; test the image by itself, with what {place}.variables sets")


def for_log(lines: Sequence[str], workload: str) -> str:
    """The lines to add to the spec where the log shows that the container's restrictions are what it fails on; else ""."""
    for line in reversed(lines):
        lower = line.lower()
        if "bind" in lower and "permission denied" in lower:
            return "ports below 1024 need root: let it listen on a higher one and set service.ports.NAME.targetPort"
        if "read-only file system" in lower:
            return _security(workload, f"writable: [{writable_path(line) or '/path/it/writes/to'}]")
        if "permission denied" in lower or "operation not permitted" in lower:
            path = writable_path(line)
            also = f", or, where it may write to {path}, `writable: [{path}]`" if path else ""
            return _security(workload, "user: 1000  # the user that owns the image's files") + also
    return ""


def writable_path(line: str) -> str:
    """The folder that a log line complains of: the parent of the last path on it ("" where there is none)."""
    paths = [found.group(1) for found in _PATH.finditer(line)]
    if not paths:
        return ""
    return dirname(paths[-1]) if dirname(paths[-1]) != "/" else paths[-1]


def for_root(workload: str) -> str:
    return _security(workload, "user: 1000  # or another that the image can run as; `level: baseline` lets it be root")


def for_named_user(workload: str) -> str:
    return _security(workload, "user: 1000  # the number of that user in the image")


def for_pod_security(workload: str) -> str:
    return _security(workload, "level: baseline  # or privileged, if the message above needs it")


def _security(workload: str, line: str) -> str:
    return f"add to workloads.{workload}: `security: {{{line.split('  #')[0]}}}`" + (
        f" ({line.split('  # ')[1]})" if "  # " in line else ""
    )


def with_log(cause: Cause, lines: tuple[str, ...], workload: CompiledWorkload) -> Cause:
    """The cause with the log's last lines, and the hint that they give where they give one."""
    hint = for_log(lines, cause.workload) if cause.sign in ("CrashLoop", "CannotStart", "JobFailed") else ""
    return in_its_words(replace(cause, log_tail=lines[-10:], hint=hint or cause.hint), workload)


# What can be done about a database, where a workload's keys would be named: `portable` writes its containers, not the spec.
_OF_A_DATABASE = {
    "ImagePull": "check the nodes' way to that registry; a patch of {controller} can name another image",
    "ConfigMissing": "run `portable up` again: it makes the credentials of {place}",
    "Quota": "have the quota raised",
    "Unschedulable": "raise cluster.nodes",
    "Evicted": "give the cluster larger nodes",
    "Timeout": "if it only needs more time, run `portable up` again: it goes on waiting",
}
_OTHERWISE = "portable sets {place} up by itself: its log says more, and a patch of {controller} can change what runs"


def in_its_words(cause: Cause, workload: CompiledWorkload) -> Cause:
    """The cause with a hint that names no keys which a database does not have."""
    named = f"workloads.{workload.name}" in cause.hint or cause.sign in ("ImagePull", "ConfigMissing")
    if workload.section == "workloads" or not named:
        return cause
    hint = _OF_A_DATABASE.get(cause.sign, _OTHERWISE)
    return replace(cause, hint=hint.format(place=workload.place, controller=workload.controller))
