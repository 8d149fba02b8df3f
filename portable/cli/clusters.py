"""clusters, token, drift: what concerns clusters beside the apps on them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from portable.cli.asking import confirmation, require_terminal, show_plan
from portable.cli.options import STATE, Cloud, command, target_options
from portable.cli.session import Session
from portable.errors import UsageError

if TYPE_CHECKING:
    from portable.cluster_changes import Changed
    from portable.target import Request

_YES = click.option("--yes", "-y", is_flag=True, help="Change it without asking.")
_NAME = click.option("--cluster", "name", metavar="NAME", help="One by its name; default: the spec's.")


@click.group("clusters")
def clusters() -> None:
    """List, look at, change and reach clusters.

    \b
    Example:
      portable clusters credentials --cloud gke && kubectl get pods
    """


@command("list", "portable clusters list\nportable clusters list --cloud eks --output json")
@click.option("--cloud", type=Cloud(), help="Only clusters there.")
@STATE
@click.pass_obj
def list_(session: Session, cloud: str | None, state: str | None) -> None:
    """List the clusters that portable made.

    Each cloud is asked how its clusters are; one that cannot be asked is shown as unknown.
    """
    from portable.cluster_list import clusters as read
    from portable.target import Request

    found = read(Request(cloud=cloud, state=state))
    if session.json:
        session.write_json({"clusters": [_plain(asdict(each)) for each in found]})
        return
    from portable.terminal.clusters import print_clusters

    print_clusters(session.out, found)


@command("show", "portable clusters show -e prod\nportable clusters show --cluster shop --cloud gke")
@target_options(file="option")
@_NAME
@click.pass_obj
def show(session: Session, request: Request, name: str | None) -> None:
    """Show one cluster in full.

    Its version and status, what it is made of, the apps on it, and data that is kept.
    """
    from portable.cluster_list import cluster_info

    found = cluster_info(request, name)
    if session.json:
        session.write_json(asdict(found))
        return
    from portable.terminal.clusters import print_cluster

    print_cluster(session.out, found)


@command("upgrade", "portable clusters upgrade 1.36 -e prod\nportable clusters upgrade 1.36 --cloud eks --yes")
@click.argument("version")
@target_options(file="option", engine=True)
@_YES
@click.pass_obj
def upgrade(session: Session, version: str, request: Request, yes: bool) -> None:
    """Take the cluster to a newer Kubernetes version.

    Where clouds go one minor version at a time, all on the way are gone through. A spec that pins another version is not
    overruled: change it there.
    """
    require_terminal(session, not yes, f"clusters upgrade {version}")
    from portable.cluster_changes import upgrade as change

    with session.operation() as progress:
        confirm = None if yes else confirmation(session, progress, "Upgrade the cluster?")
        done = change(request, version, emit=progress, confirm=confirm)
    _tell(session, done)


@command(
    "scale",
    "portable clusters scale default --nodes 5 -e prod\nportable clusters scale gpu --min 0 --max 4 --cloud gke",
)
@click.argument("pool")
@target_options(file="option", engine=True)
@click.option("--nodes", type=click.IntRange(min=0), help="This many, no autoscaling.")
@click.option("--min", "least", type=click.IntRange(min=0), help="At least this many.")
@click.option("--max", "most", type=click.IntRange(min=0), help="At most this many.")
@_YES
@click.pass_obj
def scale(
    session: Session, pool: str, request: Request, nodes: int | None, least: int | None, most: int | None, yes: bool
) -> None:
    """Give a node pool another number of nodes. POOL is a name in `cluster.pools`; `cluster.nodes` is "default".

    It says which lines of the spec to change, so that a later `up` keeps it.
    """
    if (nodes is None) == (least is None and most is None):
        raise UsageError("how many nodes?", fix="either --nodes N, or --min N and --max N or one of them")
    require_terminal(session, not yes, f"clusters scale {pool}")
    from portable.cluster_changes import scale as change

    with session.operation() as progress:
        confirm = None if yes else confirmation(session, progress, "Change the pool?")
        done = change(request, pool, least=least, most=most, nodes=nodes, emit=progress, confirm=confirm)
    _tell(session, done)


@command(
    "credentials", "portable clusters credentials --cloud gke\nportable clusters credentials --cluster shop --print"
)
@target_options(file="option")
@_NAME
@click.option("--print", "to_stdout", is_flag=True, help="Print the kubeconfig, write nothing.")
@click.option("--no-switch", is_flag=True, help="Leave the current context as it is.")
@click.pass_obj
def credentials(session: Session, request: Request, name: str | None, to_stdout: bool, no_switch: bool) -> None:
    """Put the cluster into your kubeconfig.

    Then kubectl and others reach it. It goes into $KUBECONFIG or ~/.kube/config and leaves everything else there as it is. On clouds kubectl gets its tokens from
    `portable token`: no cloud's command line is needed, and no token is in the file.
    """
    if to_stdout:
        from portable.cluster_list import kubeconfig

        click.echo(kubeconfig(request, name))
        return
    from portable.cluster_list import write_credentials

    done = write_credentials(request, name, switch=not no_switch)
    if session.json:
        session.write_json({"path": str(done.path), "context": done.context, "current": done.switched})
        return
    click.echo(f"wrote context {done.context} to {done.path}" + (", now the current one" if done.switched else ""))


for each in (list_, show, upgrade, scale, credentials):
    clusters.add_command(each)


@command("token", "portable token --cloud eks --cluster shop --region eu-central-1")
@click.option("--cloud", type=Cloud(), required=True, help="Where the cluster is.")
@click.option("--cluster", required=True, metavar="NAME", help="The cluster's name there.")
@click.option("--region", help="Where it is; default: what the cloud's own configuration says.")
def token(cloud: str, cluster: str, region: str | None) -> None:
    """Print a token for kubectl.

    It is an ExecCredential: a secret that is good for some minutes. `portable clusters credentials` writes the kubeconfig
    that calls this.
    """
    from portable.cluster_list import exec_credential

    click.echo(json.dumps(exec_credential(cloud, cluster, region)))


@command("drift", "portable drift -e prod --detailed-exitcode\nportable drift --cloud gke --fix --yes")
@target_options(engine=True)
@click.option("--fix", is_flag=True, help="Put it back.")
@click.option("--yes", "-y", is_flag=True, help="Put it back without asking.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 3 when something drifted and was not put back.")
@click.pass_obj
def drift(session: Session, request: Request, fix: bool, yes: bool, detailed_exitcode: bool) -> int:
    """Show what was changed behind portable's back.

    Looks at the live objects, in the cloud and in the cluster, and compares them with what the last `up` applied. Without
    --fix it changes nothing.
    """
    ask = fix and not yes
    require_terminal(session, ask, "drift --fix")
    from portable.drift import drift as look

    if fix:
        with session.operation() as progress:
            confirm = confirmation(session, progress, "Put all of this back?") if ask else None
            found = look(request, emit=progress, fix=True, confirm=confirm)
    else:
        with session.question() as emit:
            found = look(request, emit=emit)
    document = {**asdict(found.found), "changes": found.found.changes, "fixed": found.fixed}
    if session.json:
        session.write_result(document) if fix else session.write_json(document)
    else:
        show_plan(session, found.found, error_stream=False)
        if found.fixed:
            click.echo("\nput back")
    return 3 if detailed_exitcode and found.found.changes and not found.fixed else 0


def _tell(session: Session, done: Changed) -> None:
    if session.json:
        session.write_result(asdict(done))
        return
    from portable.terminal.clusters import print_changed

    print_changed(session.out, done)


def _plain(document: dict[str, object]) -> dict[str, object]:
    """Without what only `show` tells."""
    return {key: value for key, value in document.items() if key not in ("resources", "kept", "existing")}
