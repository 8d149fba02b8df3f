"""The journal and its operator's lease, on a real API server."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from portable.errors import ClusterError, PortableError
from portable.kube import Kube
from portable.migrate import journal
from portable.migrate.find import counting
from portable.migrate.journal import COMMIT, CUT_OVER, End, Entry, Header, Record
from portable.migrate.lease import NAME, SECONDS, Lease, Lost, holder, operator, shown

pytestmark = pytest.mark.unit

HEADER = Header("ab12", "shop", "prod", End("one", "a"), End("two", "b"), False, "2026-01-01T00:00:00Z", "me@here")


def entry(step: str, what: journal.What, **facts: object) -> Entry:
    return Entry(step, what, journal.now(), "me@here", 1.5, facts)


def test_what_is_appended_is_read_again(kube: Kube, namespace: str) -> None:
    written = journal.begin(kube, namespace, HEADER)
    written.append(entry("seed", "begun"))
    written.append(entry("seed", "done", files=3))
    found = journal.read(kube, namespace)
    assert found is not None
    assert found.record == written.record
    assert found.record.facts("seed") == {"files": 3}


def test_of_two_writers_the_second_is_told(kube: Kube, namespace: str) -> None:
    first = journal.begin(kube, namespace, HEADER)
    second = journal.read(kube, namespace)
    assert second is not None
    first.append(entry("seed", "begun"))
    with pytest.raises(PortableError, match="another operator"):
        second.append(entry("freeze", "begun"))
    found = journal.read(kube, namespace)
    assert found is not None
    assert [each.step for each in found.record.entries] == ["seed"], "nothing of the second was written"


def test_a_write_whose_answer_was_lost_is_written_once(
    kube: Kube, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = journal.begin(kube, namespace, HEADER)
    replace, lost = Kube.replace, [True]

    def losing(self: Kube, manifest: dict[str, object], **options: str) -> object:
        answer = replace(self, manifest, **options)  # type: ignore[arg-type]
        if lost.pop() if lost else False:
            raise ClusterError("the connection broke", status=0)
        return answer

    monkeypatch.setattr(Kube, "replace", losing)
    written.append(entry("seed", "begun"))
    written.append(entry("seed", "done"))
    found = journal.read(kube, namespace)
    assert found is not None
    assert [each.what for each in found.record.entries] == ["begun", "done"]


def test_what_was_undone_counts_no_more() -> None:
    record = Record(HEADER, (entry("freeze", "note", before=1), entry("freeze", "done"), entry("freeze", "undone")))
    assert not record.begun("freeze")
    assert record.facts("freeze") == {}


@pytest.mark.parametrize(
    ("steps", "phase", "answers"),
    [
        ([], "under way", "one/a"),
        ([(CUT_OVER, "begun")], "cut over", "one/a"),
        ([(CUT_OVER, "done"), (COMMIT, "begun")], "cut over", "one/a"),
        ([(CUT_OVER, "done"), (COMMIT, "done")], "committed", "two/b"),
        ([(COMMIT, "done"), (COMMIT, "undone"), (journal.ROLLED_BACK, "done")], "rolled back", "one/a"),
        ([(COMMIT, "done"), (journal.FINALIZED, "done")], "finalized", "two/b"),
    ],
)
def test_phases(steps: list[tuple[str, journal.What]], phase: str, answers: str) -> None:
    record = Record(HEADER, tuple(entry(*each) for each in steps))
    assert (record.phase, str(record.answers)) == (phase, answers)


def test_of_two_copies_the_longer_counts_and_of_two_migrations_the_later(kube: Kube, namespace: str) -> None:
    source = journal.begin(kube, namespace, HEADER)
    source.append(entry(COMMIT, "begun"))
    other = f"{namespace}-target"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}})
    moved = source.copy_to(kube, other)
    assert counting([source, moved]) is source, "a commit that broke off after the copy has not happened"
    moved.append(entry(COMMIT, "done"))
    assert counting([source, moved]) is moved
    later = dataclasses.replace(source.record.header, migration="cd34", started="2026-02-01T00:00:00Z")
    source.record = Record(later, ())
    assert counting([source, moved]) is source


def test_the_lease_is_held_renewed_and_given_back(kube: Kube, namespace: str) -> None:
    with Lease(kube, namespace) as lease:
        assert holder(kube, namespace) == shown(operator())
        lease.require()
    assert kube.get("coordination.k8s.io/v1", "Lease", NAME, namespace) is None


def _held(kube: Kube, namespace: str, identity: str, renewed: str) -> None:
    spec = {"holderIdentity": identity, "leaseDurationSeconds": SECONDS, "acquireTime": renewed, "renewTime": renewed}
    metadata = {"name": NAME, "namespace": namespace}
    kube.create({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec})


def test_a_second_operator_is_refused_by_the_firsts_name(kube: Kube, namespace: str) -> None:
    from datetime import UTC, datetime

    _held(kube, namespace, "ann@elsewhere, process 7 (123)", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    with pytest.raises(PortableError, match="ann@elsewhere, process 7, since") as refused, Lease(kube, namespace):
        pass
    assert "migrate status" in refused.value.fix


def test_a_dead_process_of_this_machine_holds_nothing(kube: Kube, namespace: str) -> None:
    script = "from portable.migrate.lease import operator; print(operator())"
    dead = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    _held(kube, namespace, dead, "2126-01-01T00:00:00.000000Z")
    with Lease(kube, namespace) as lease:
        lease.require()


def test_who_lost_the_lease_stops(kube: Kube, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portable.migrate.lease._RENEW", 0.05)
    with Lease(kube, namespace) as lease:
        live = kube.get("coordination.k8s.io/v1", "Lease", NAME, namespace)
        assert live is not None
        live["spec"]["holderIdentity"] = "ann@elsewhere, process 7 (123)"
        _take_over(kube, live)
        assert lease._thread is not None
        lease._thread.join(timeout=30)
        with pytest.raises(Lost, match="ann@elsewhere, process 7 holds it"):
            lease.require()


def _take_over(kube: Kube, live: dict[str, object]) -> None:
    """By force: the holder renews meanwhile."""
    kube.merge_patch("coordination.k8s.io/v1", "Lease", NAME, {"spec": live["spec"]}, live["metadata"]["namespace"])  # type: ignore[index]
