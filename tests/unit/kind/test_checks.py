from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from portable.errors import ToolError
from portable.provider import Check
from portable_kind import checks

pytestmark = pytest.mark.unit


def inotify(folder: Path, instances: int, watches: int) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "max_user_instances").write_text(f"{instances}\n")
    (folder / "max_user_watches").write_text(f"{watches}\n")
    return folder


def test_low_inotify_limits_are_named_with_the_command(tmp_path: Path) -> None:
    check, wanted = checks.inotify_check(inotify(tmp_path, 128, 600000))
    assert check.status == "warning"
    assert check.fix == "`sudo sysctl fs.inotify.max_user_instances=512`"
    assert wanted == {tmp_path / "max_user_instances": "512"}
    assert checks.inotify_check(inotify(tmp_path, 512, 524288))[0].status == "ok"


def test_fix_raises_the_limits(tmp_path: Path) -> None:
    folder = inotify(tmp_path, 128, 8192)
    (found,) = checks._mend_each([lambda: checks.inotify_check(folder)], fix=False)
    assert found.status == "warning"
    (found,) = checks._mend_each([lambda: checks.inotify_check(folder)], fix=True)
    assert found.status == "ok"
    assert (folder / "max_user_watches").read_text() == "524288"


def test_forwarding_has_to_be_on(tmp_path: Path) -> None:
    path = tmp_path / "ip_forward"
    path.write_text("0\n")
    assert checks.forwarding_check(path)[0].status == "warning"
    path.write_text("1\n")
    assert checks.forwarding_check(path)[0].status == "ok"


def test_too_little_memory_is_a_warning_with_numbers() -> None:
    assert checks.memory_check(8 * checks.GIB).status == "ok"
    low = checks.memory_check(2 * checks.GIB)
    assert low.status == "warning"
    assert "2.0 GiB" in low.detail


def test_cgroup_v1_is_only_a_warning() -> None:
    assert checks.cgroup_check("2").status == "ok"
    assert checks.cgroup_check("1").status == "warning"


def test_taken_ports_are_named_and_no_obstacle(program: Callable[[str, str], Path]) -> None:
    program("docker", "exit 0")
    assert checks.ports_check(lambda _: True).status == "ok"
    found = checks.ports_check(lambda port: port != 443)
    assert found.status == "warning"
    assert found.detail.startswith("443 is taken")


def test_ports_of_ones_own_cluster_are_fine(program: Callable[[str, str], Path]) -> None:
    program("docker", "echo '127.0.0.1:80->80/tcp, 127.0.0.1:443->443/tcp, 127.0.0.1:40583->6443/tcp'")
    assert checks.ports_check(lambda _: False).status == "ok"
    program("docker", "echo '127.0.0.1:8080->80/tcp'")
    assert checks.ports_check(lambda _: False).status == "warning"


def test_a_fixable_check_is_looked_at_again_after_its_cure() -> None:
    state = {"status": "missing"}

    def look() -> Check:
        return Check("x", "ok" if state["status"] == "ok" else "missing", "", fixable=True)

    assert checks._mend(look, lambda: state.update(status="ok"), fix=False).status == "missing"
    assert checks._mend(look, lambda: state.update(status="ok"), fix=True).status == "ok"


def test_a_cure_that_fails_says_why() -> None:
    def cure() -> None:
        raise ToolError("no apt", detail="E: broken", fix="mend apt")

    found = checks._mend(lambda: Check("x", "missing", "gone", fix="f", fixable=True), cure, fix=True)
    assert (found.status, found.detail, found.fix) == ("missing", "no apt: E: broken", "mend apt")


def test_without_docker_the_rest_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = checks.run(fix=False, emit=lambda _event: None)
    assert found[0].name == "Docker"
    assert found[0].status == "missing"
    assert "no `docker` command" in found[0].detail
    assert "node image" not in {check.name for check in found}
