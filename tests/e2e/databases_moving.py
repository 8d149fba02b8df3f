"""An app's databases on both ends of a migration, as `portable.migrate` sees them, and clients that write meanwhile.

Both ends are namespaces of the one cluster that all tests share: what is tried here knows nothing of where a cluster ends.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from portable.events import nowhere
from portable.exec import Container, execute
from portable.migrate.databases import Replication, replication
from portable.migrate.sides import Side, Sides
from portable.migrate.transfer import Transfer
from portable.target import Request, compile_target, open_target
from tests.e2e.conftest import HELLO, AppUnderTest

RESOURCES: Mapping[str, Any] = {
    "db": {"type": "postgres", "size": "1Gi"},
    "cache": {"type": "redis", "size": "1Gi"},
}
# Each connection for itself, then one for all: what was acknowledged is printed.
_POSTGRES = {
    "fresh": """for ((i = 1; SECONDS < 90; i++)); do
      psql -qAtX -h "$HOSTNAME" -c "INSERT INTO acknowledged VALUES ('fresh', $i) RETURNING number" || exit 0
    done""",
    "kept": """for ((i = 1; SECONDS < 90; i++)); do echo "INSERT INTO acknowledged VALUES ('kept', $i) RETURNING number;"; done |
      psql -qAtX -v ON_ERROR_STOP=1 -h "$HOSTNAME" || exit 0""",
}
_REDIS = """coproc CLIENT { redis-cli; }
for ((i = 1; SECONDS < 90; i++)); do
  echo "RPUSH acknowledged $i" >&"${CLIENT[1]}"
  read -r said <&"${CLIENT[0]}"
  case $said in "" | *[!0-9]*) exit 0 ;; esac
  echo "$said"
done"""


@dataclass
class Moving:
    """`source` runs; of `target` there are the namespace and the Secrets, with passwords of its own. Movers run at both ends."""

    sides: Sides

    @property
    def transfer(self) -> Transfer:
        """A new one for each call too."""
        return Transfer(self.sides, (), nowhere)

    @property
    def source(self) -> Side:
        return self.sides.source

    @property
    def target(self) -> Side:
        return self.sides.target

    def replication(self, name: str) -> Replication:
        """A new one for each call: what it knows must stand in the clusters."""
        return replication(self.sides, name, nowhere)

    def primary(self, name: str) -> tuple[str, int]:
        """Through the movers' TLS stream, as a migration does."""
        return self.transfer.forward(f"{name}-primary", name, 5432 if name == "db" else 6379)

    def cut(self, name: str) -> None:
        """The stream of one database ends, and does not come back until `primary` is asked again."""
        mover = f"mover-{self.sides.migration}-forward-{name}-primary"
        place = ("apps/v1", "Deployment", mover, self.source.namespace)
        assert self.source.kube.delete(*place)
        assert self.source.kube.wait_gone(*place, timeout=120)

    def sql(self, side: Side, statements: str, *, tcp: bool = False) -> str:
        """As the app's own user; `tcp`: with its password, as the app itself."""
        by = 'PGPASSWORD="$POSTGRES_PASSWORD" psql -h "$HOSTNAME"' if tcp else "psql"
        return shell(side, "db", f'{by} -qAtX -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB"', statements)

    def redis(self, side: Side, commands: str) -> str:
        return shell(side, "cache", "redis-cli -e", commands + "\n")


def shell(side: Side, name: str, script: str, given: str = "", *, seconds: float = 300) -> str:
    at = Container(side.namespace, f"{name}-0", "postgres" if name == "db" else "redis")
    done = execute(side.kube, at, ["bash", "-c", script], given=given, seconds=seconds)
    assert done.code == 0, done.errors or done.output
    return done.output.strip()


@dataclass
class Writer:
    """Writes until it is refused. `acknowledged`: the numbers that the server said it has."""

    side: Side
    name: str
    script: str
    said: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(timeout=120)
        assert not self._thread.is_alive(), "the writer still writes"

    def _run(self) -> None:
        self.said.append(shell(self.side, self.name, self.script))

    @property
    def acknowledged(self) -> list[int]:
        return [int(line) for line in self.said[0].splitlines() if line.isdigit()]


def postgres_writer(side: Side, kind: Literal["fresh", "kept"]) -> Writer:
    environment = 'export PGUSER="$POSTGRES_USER" PGDATABASE="$POSTGRES_DB" PGPASSWORD="$POSTGRES_PASSWORD"\n'
    return Writer(side, "db", environment + _POSTGRES[kind] + " 2>/dev/null")


def redis_writer(side: Side) -> Writer:
    return Writer(side, "cache", _REDIS)


@contextmanager
def both_ends(app: AppUnderTest, resources: Sequence[str], leave: Callable[..., None]) -> Iterator[Moving]:
    """Deploys the source; of the target the namespace and what `migrate` copies before databases. Both are gone afterwards."""
    chosen = {name: RESOURCES[name] for name in resources}
    environments = {"old": {"cloud": "kind"}, "new": {"cloud": "kind"}}
    app.write({"idle": HELLO}, resources=chosen, environments=environments)
    source, target = (side_of(app, role, environment) for role, environment in (("source", "old"), ("target", "new")))
    try:
        app.portable("up", "-e", "old", "--yes", app.file)
        _prepare(target)
        moving = Moving(Sides(f"m{secrets.token_hex(3)}", source, target))
        moving.transfer.prepare(["direct"])
        yield moving
    finally:
        leave("-e", "old", app.file)
        _take_away(target)


def side_of(app: AppUnderTest, role: Any, environment: str) -> Side:
    opened = open_target(Request(app.file, environment, "kind"))
    return Side(role, opened, app.cluster.kube, compile_target(opened))


def _prepare(target: Side) -> None:
    target.kube.apply(target.objects.items[0].manifest)
    for secret in target.objects.generated:
        password = secrets.token_urlsafe(24)
        texts = {key: text.replace("${password}", password) for key, text in secret.templates.items()}
        target.kube.apply({**secret.manifest, "stringData": {**secret.fixed, **texts, "password": password}})


def _take_away(side: Side) -> None:
    from portable_kind import Kind

    side.kube.delete("v1", "Namespace", side.namespace)
    assert side.kube.wait_gone("v1", "Namespace", side.namespace, timeout=180)
    Kind().delete_kept_data(side.app.app.cluster, side.namespace, nowhere)
