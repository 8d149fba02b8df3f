"""Movers, in containers of their own: awkward files, what disturbs a copy, and what it takes to prove that one is whole."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from portable_kind import docker
from tests.benchmarks import page
from tests.e2e.conftest import wait
from tests.e2e.movers_in_docker import movers
from tests.e2e.volumes_moving import USER, allocated, fill, fill_awkwardly, listing
from tests.soak import SOAK, size

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("movers_image")]

BIG = 256 << 20
PAGE = Path(__file__).resolve().parents[2] / "docs" / "migrate-data.md"


def write_big(path: Path, length: int = BIG) -> None:
    block = random.Random(7).randbytes(1 << 20)
    with path.open("wb") as file:
        for number in range(length >> 20):
            file.write(number.to_bytes(8, "big") + block[8:])


@pytest.mark.parametrize("user", [0, USER])
def test_awkward_files_arrive_as_they_are(user: int, tmp_path: Path) -> None:
    with movers(tmp_path, user=user) as pair:
        fill_awkwardly(pair.source, others=user == 0)
        assert pair.result("survey")["needs_root"] == ""
        pair.result("copy")
        _change(pair.source)
        pair.result("copy", compress=True)
        final = pair.result("copy", final=True)
        assert listing(pair.source) == listing(pair.target)
        assert allocated(pair.target / "sparse") <= allocated(pair.source / "sparse") + (1 << 20)
        assert pair.result("copy", final=True)["changed_files"] == 0, "what is the same is not sent again"
        proof = pair.result("verify")
        assert not proof["differences"]
        assert (proof["files"], proof["bytes"]) == (final["files"], final["bytes"])


def _change(source: Path) -> None:
    """What happens to files between two copies: also folders that become files, links that break up, deletions."""
    with (source / "sparse").open("r+b") as file:
        file.seek(40 << 20)
        file.write(b"changed")
    (source / "plain").unlink()
    (source / "readonly").unlink()
    (source / "readonly").write_bytes(b"new, and still nobody's to write")
    os.chmod(source / "readonly", 0o400)
    shutil.rmtree(source / "empty folder")
    (source / "empty folder").write_text("now a file")
    (source / "link").unlink()
    (source / "link").mkdir()
    (source / "link" / "in it").write_text("now a folder")
    (source / "deep" / "another name").unlink()
    (source / "deep" / "another name").write_text("no link any more")
    for name in ("readonly", "empty folder", "link", "link/in it", "deep/another name"):
        os.chown(source / name, USER, USER)


def test_a_user_who_cannot_make_it_all_says_why(tmp_path: Path) -> None:
    with movers(tmp_path, user=USER) as pair:
        fill_awkwardly(pair.source, others=True)
        assert "another" in pair.result("survey")["needs_root"]


def test_a_proof_finds_what_no_listing_shows_and_the_next_copy_mends_it(tmp_path: Path) -> None:
    with movers(tmp_path) as pair:
        fill(pair.source, 300, 2000)
        pair.result("copy", final=True)
        victim = pair.target / "0001" / "000123"
        stat = victim.stat()
        victim.write_bytes(b"x" * stat.st_size)
        os.utime(victim, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        (extra,) = pair.result("verify")["differences"]
        assert "000123" in extra
        assert "content" in extra
        assert pair.result("copy", final=True)["changed_files"] == 1
        assert not pair.result("verify")["differences"]


def test_an_empty_source_does_not_empty_the_target(tmp_path: Path) -> None:
    with movers(tmp_path) as pair:
        fill(pair.target, 3, 100)
        before = listing(pair.target)
        assert pair.ask("copy", final=True)["error"]["kind"] == "empty"
        assert listing(pair.target) == before


@pytest.mark.parametrize("disturbance", ["killed", "cut"] if SOAK else ["killed"])
def test_a_copy_that_was_disturbed_says_so_and_goes_on_where_it_was(disturbance: str, tmp_path: Path) -> None:
    with movers(tmp_path, limits=["--cpus=0.2"]) as pair:  # slow enough to be disturbed
        write_big(pair.source / "big")
        copying = pair.run_until_bytes(BIG // 8)
        target = pair.containers["target"]
        docker.run("pause", target)
        out, _ = copying.communicate(timeout=60)
        assert '"kind":"disconnected"' in out.splitlines()[-1]
        arrived = (pair.target / "big").stat().st_size
        assert 0 < arrived < BIG
        if disturbance == "killed":
            docker.run("kill", target)
            docker.run("start", target)
        else:
            docker.run("unpause", target)
        wait(lambda: pair.result("status")["sessions"], "the ends are connected", seconds=40)
        again = pair.result("copy", final=True)
        assert again["sent_bytes"] < BIG - arrived // 2, "the part that had arrived is not sent again"
        assert not pair.result("verify")["differences"]


def test_a_full_disk_is_named_with_its_sizes(tmp_path: Path) -> None:
    """By a file that is new, and by one that has grown, which goes another way."""
    with movers(tmp_path, target_size="20m") as pair:
        write_big(pair.source / "grows", 4 << 20)
        pair.result("copy", final=True)
        write_big(pair.source / "grows", 64 << 20)
        grown = pair.ask("copy")["error"]
        (pair.source / "grows").rename(pair.source / "new")
        for error, name in ((grown, "grows"), (pair.ask("copy")["error"], "new")):
            assert error["kind"] == "full", error
            assert name in error.get("path", "") + error["message"]
            assert error["size"] == 20 << 20
            assert error.get("free", 0) < 1 << 20


def test_who_has_other_keys_is_not_let_in(tmp_path: Path) -> None:
    with movers(tmp_path, foreign=True) as pair:
        fill(pair.source, 3, 100)
        time.sleep(2)  # so that it has tried
        assert pair.result("status")["sessions"] == 0
        assert "certificate" in pair.logs("source")
        assert "refused" in pair.logs("target")
        assert not listing(pair.target)


@contextmanager
def written_to(path: Path) -> Iterator[list[int]]:
    """Somebody writes into the file until the block ends: the numbers of the blocks that were, one after the other."""
    over, numbers = threading.Event(), random.Random(11)
    written: list[int] = []

    def write() -> None:
        with path.open("r+b", buffering=0) as file:
            while not over.wait(0.01):
                number = numbers.randrange(path.stat().st_size >> 20)
                file.seek(number << 20)
                file.write(f"written meanwhile, {len(written)}".encode())
                written.append(number)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        yield written
    finally:
        over.set()
        writing.join()


def test_a_volume_is_whole_in_the_end_though_a_file_was_written_to_while_it_was_staged(
    tmp_path: Path, say: Callable[[str], None]
) -> None:
    """In the soak with as much as a migration is promised for: more than 1 GiB, 100,000 small files, 512 MiB written to."""
    files, each, big = size(1000, 100_000), 6000, size(96, 512) << 20
    # a quiet machine copies the small set within half a second, before the first word of progress
    slow_enough = [] if SOAK else ["--cpus=0.1"]
    with movers(tmp_path, limits=slow_enough) as pair:
        fill(pair.source, files, each)
        write_big(pair.source / "big", big)
        with written_to(pair.source / "big") as written:
            began = time.monotonic()
            copying = pair.run_until_bytes(1 << 20)
            (pair.source / "0001" / "000150").unlink()
            out, _ = copying.communicate(timeout=600)
            seeded = time.monotonic() - began
            assert '"result"' in out.splitlines()[-1], out.splitlines()[-1]
            pair.result("copy")
        assert len(written) > 10, "nobody wrote while it was copied"
        began = time.monotonic()
        final = pair.result("copy", final=True)
        proof = pair.result("verify")
        stopped = time.monotonic() - began
        assert not proof["differences"]
        assert (proof["files"], proof["bytes"]) == (final["files"], final["bytes"]) == (files, (files - 1) * each + big)
        peaks = {role: int(pair.result("status", role)["peak_memory"].split()[0]) >> 10 for role in pair.containers}
        assert max(peaks.values()) < 128, f"MiB: {peaks}"
        report(say, files, proof["bytes"], len(written), seeded, stopped, max(peaks.values()))


def report(
    say: Callable[[str], None], files: int, total: int, writes: int, seeded: float, stopped: float, peak: int
) -> None:
    head = ("files", "data", "writes meanwhile", "first copy", "last copy and proof", "peak memory of an end")
    row = (f"{files:,}", f"{total >> 20:,} MiB", f"{writes:,}", f"{seeded:.1f} s", f"{stopped:.1f} s", f"{peak} MiB")
    body = page.table(head, [row])
    say(body)
    if SOAK:
        command = "PORTABLE_SOAK=1 pytest tests/e2e/test_movers.py"
        page.rewrite("whole volume", body, command=command, page=PAGE)


def test_memory_does_not_grow_with_the_data(tmp_path: Path) -> None:
    """The target may use 96 MiB, page cache included, for a file of more than twice that."""
    with movers(tmp_path, limits=["--memory=96m"]) as pair:
        write_big(pair.source / "big")
        fill(pair.source, 2000, 100)
        pair.result("copy", final=True)
        assert not pair.result("verify")["differences"]
        for role in ("source", "target"):
            peak = int(pair.result("status", role)["peak_memory"].split()[0])
            assert peak < 128 << 10, f"{role}: {peak} KiB"
