"""The Job that makes a standby of the target's claim: `pg_basebackup` by the database's own image, as its own user.

Only a whole copy takes the data folder's name, so that the compiled StatefulSet starts as a standby or not at all. A file on the
volume says that the data came from this migration; data without it is nobody's to overwrite.
"""

from __future__ import annotations

import copy
from typing import Any

from portable.errors import ClusterError, UsageError
from portable.events import Emit, Step
from portable.kube import Kube
from portable.migrate.databases import pods
from portable.migrate.sides import Sides
from portable.polling import Pending, poll
from portable.provider import KubeObject

MARKER = "/data/.portable-migration"
PASSWORD_FILE = "/data/.portable-migration-password"
SEED_SECONDS = 24 * 3600.0
_FOREIGN = 65
_MOUNT = "/run/portable"

_SEED = f"""\
set -euo pipefail
umask 077
follow() {{
  cat >> "$1/postgresql.auto.conf" <<EOF
primary_conninfo = '$PRIMARY passfile={PASSWORD_FILE} application_name=$SLOT'
primary_slot_name = '$SLOT'
EOF
}}
ours=no
if [ "$(cat {MARKER} 2>/dev/null || true)" = "$MIGRATION" ]; then ours=yes; fi
if [ -e "$PGDATA" ] && [ $ours = no ] && [ "$REPLACE" != yes ]; then exit {_FOREIGN}; fi
printf %s "$MIGRATION" > {MARKER}
printf '*:*:*:*:%s\\n' "$(cat {_MOUNT}/password)" > {PASSWORD_FILE}
if [ $ours = yes ] && [ "$FRESH" = no ] && [ -e "$PGDATA/standby.signal" ]; then follow "$PGDATA"; exit 0; fi
rm -rf "$PGDATA" "$PGDATA.seed"
pg_basebackup --no-password --dbname="$PRIMARY passfile={PASSWORD_FILE}" --pgdata="$PGDATA.seed" \\
  --wal-method=stream --slot="$SLOT" --checkpoint=fast
follow "$PGDATA.seed"
touch "$PGDATA.seed/standby.signal"
sync -f "$PGDATA.seed"
mv --no-target-directory "$PGDATA.seed" "$PGDATA"
sync -f "$PGDATA"
"""
_CLEAR = f"""\
set -euo pipefail
if [ "$(cat {MARKER} 2>/dev/null || true)" != "$MIGRATION" ]; then exit 0; fi
rm -rf "$PGDATA" "$PGDATA.seed" {PASSWORD_FILE}
rm -f {MARKER}
"""


def secret_name(name: str) -> str:
    return f"portable-migration-{name}"


def seed(
    sides: Sides, name: str, primary: tuple[str, int], slot: str, emit: Emit, *, fresh: bool, replace: bool
) -> None:
    """The database's pod is stopped. A standby that is whole is only told its primary, unless `fresh`.

    Raises UsageError where the claim holds other data, ClusterError where the copy fails.
    """
    host, port = primary
    # A dead connection is known within half a minute: a cut network must not look like a quiet primary.
    wire = "connect_timeout=15 keepalives_idle=10 keepalives_interval=5 keepalives_count=3 tcp_user_timeout=30000"
    given = {
        "PRIMARY": f"host={host} port={port} user={slot} dbname=replication {wire}",
        "SLOT": slot,
        "FRESH": "yes" if fresh else "no",
        "REPLACE": "yes" if replace else "no",
    }
    _run(sides, name, "seed", _SEED, given, emit)


def clear(sides: Sides, name: str, emit: Emit) -> None:
    """Takes a standby's data away; data that is not this migration's stays."""
    _run(sides, name, "clear", _CLEAR, {}, emit)


def _run(sides: Sides, name: str, what: str, script: str, given: dict[str, str], emit: Emit) -> None:
    kube, namespace = sides.target.kube, sides.target.namespace
    job = _job(sides, name, what, script, given)
    place = ("batch/v1", "Job", job["metadata"]["name"], namespace)
    # one of an earlier, broken-off run was asked for something else
    kube.delete(*place)
    kube.wait_gone(*place, timeout=120)
    kube.create(job)

    def check() -> bool | Pending:
        status = (kube.get(*place) or {}).get("status", {})
        if status.get("succeeded"):
            return True
        if status.get("failed"):
            _raise_failed(kube, sides, name, job["metadata"]["name"], what)
        return Pending("copying" if status.get("active") else "starting")

    try:
        poll(check, what=f"{what} of {name}", timeout=SEED_SECONDS, emit=emit, step=name, interval=1)
    finally:
        kube.delete(*place)
    kube.wait_gone(*place, timeout=120)
    emit(Step(name, "progress", detail=f"{what} done"))


def _raise_failed(kube: Kube, sides: Sides, name: str, job: str, what: str) -> None:
    code, words = None, list[str]()
    for pod in kube.list("v1", "Pod", sides.target.namespace, label_selector=f"batch.kubernetes.io/job-name={job}"):
        statuses = pod.get("status", {}).get("containerStatuses") or [{}]
        code = statuses[0].get("state", {}).get("terminated", {}).get("exitCode")
        words = list(kube.logs(sides.target.namespace, pod["metadata"]["name"], tail=10))
    if code == _FOREIGN:
        raise UsageError(
            f"the postgres {name} on {sides.target} holds data of its own",
            detail=f"its claim data-{name}-0 has a data folder that this migration did not make",
            fix="it would be lost: end it first, or let it be replaced",
        )
    raise ClusterError(
        f"the {what} of {name} failed" + (f" (exit code {code})" if code is not None else ""),
        detail="\n".join(words),
        fix="mend what it says, then go on with `portable migrate resume`",
    )


def _job(sides: Sides, name: str, what: str, script: str, given: dict[str, str]) -> KubeObject:
    """The compiled pod with another command. It has no label of the workload's: no Service may lead to it."""
    labels = pods.labels(sides, name)
    pod = copy.deepcopy(pods.stateful_set(sides.target, name)["spec"]["template"]["spec"])
    container: dict[str, Any] = pod["containers"][0]
    for probe in ("readinessProbe", "livenessProbe", "startupProbe", "ports"):
        container.pop(probe, None)
    data = [entry for entry in container["env"] if entry["name"] == "PGDATA"]
    variables = {"MIGRATION": sides.migration, **given}
    container["env"] = [*data, *({"name": key, "value": text} for key, text in variables.items())]
    container["command"] = ["bash", "-c", script]
    if what == "seed":
        container["volumeMounts"].append({"name": "password", "mountPath": _MOUNT, "readOnly": True})
        mode = {"secretName": secret_name(name), "defaultMode": 0o440}
        pod["volumes"].append({"name": "password", "secret": mode})
    pod["restartPolicy"] = "Never"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"portable-migration-{name}-{what}",
            "namespace": sides.target.namespace,
            "labels": labels,
        },
        "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }
