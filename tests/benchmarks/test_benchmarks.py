"""The benchmarks measure what they say: the generated specs are valid, of the size claimed, and the page's markers stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.benchmarks import generate, page, reactions
from tests.benchmarks.__main__ import SECTIONS
from tests.benchmarks.measure import interleaved, run
from tests.e2e import promises

pytestmark = pytest.mark.unit
ROOT = Path(__file__).resolve().parents[2]


def test_a_generated_workload_has_19_lines() -> None:
    lines = [len(generate.spec(size).splitlines()) for size in (10, 110)]
    assert (lines[1] - lines[0]) / 100 == 19


@pytest.mark.parametrize("text", [generate.spec(3), generate.runnable(3, name="bench", image="hello:1.0")])
def test_generated_specs_are_valid(text: str, tmp_path: Path) -> None:
    from portable.spec import load_app

    file = tmp_path / "portable.yaml"
    file.write_text(text)
    assert len(load_app(file, environment=None).app.workloads) == 3


_DIFFERENCE = """
import subprocess
import sys
from tests.benchmarks.measure import run
small, large = (run([sys.executable, "-c", f"b'x' * {size} * 2**20"]) for size in (1, 200))
print(large.mib - small.mib)
"""


def test_memory_is_that_of_the_process() -> None:
    # In a process of its own, as benchmarks run: this one is large by now, and a child cannot show less than its parent.
    done = subprocess.run(
        [sys.executable, "-c", _DIFFERENCE], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert 150 < float(done.stdout) < 250


def test_a_failing_command_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match=r"ended with 3:\nsorry"):
        run([sys.executable, "-c", "print('sorry'); raise SystemExit(3)"])


def test_contenders_take_turns() -> None:
    turns: list[str] = []

    def contender(name: str):
        return lambda: (turns.append(name), run(["true"]))[1]

    taken = interleaved({"a": contender("a"), "b": contender("b")}, 2)
    assert turns == ["a", "b"] * 3  # the first round warms up
    assert [len(runs.runs) for runs in taken.values()] == [2, 2]


def test_every_section_has_its_place_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "benchmarks.md"
    copy.write_text(page.PAGE.read_text())
    monkeypatch.setattr(page, "PAGE", copy)
    for section in SECTIONS:
        page.rewrite(section, f"the new {section}", command="x")
        page.rewrite(section, f"the newest {section}", command="x")
        assert copy.read_text().count(f"the newest {section}\n") == 1
        assert f"the new {section}\n" not in copy.read_text()
    with pytest.raises(ValueError, match="no markers"):
        page.rewrite("unknown", "", command="x")


def test_both_contenders_of_the_reactions_run_the_same_app(tmp_path: Path) -> None:
    from portable.compile import compile_app
    from portable.spec import load_app
    from portable_kind.profile import profile

    file = tmp_path / "portable.yaml"
    file.write_text(reactions.spec("bench", "Hello"))
    ours = [each.manifest for each in compile_app(load_app(file, environment=None).app, profile(self_built=True)).items]
    theirs = list(yaml.safe_load_all(reactions.manifests("Hello")))
    for objects in (ours, theirs):
        (deployment,) = (each for each in objects if each["kind"] == "Deployment")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        (scaler,) = (each for each in objects if each["kind"] == "HorizontalPodAutoscaler")
        assert (container["image"], container["env"]) == (promises.IMAGE, [{"name": "GREETING", "value": "Hello"}])
        assert container["resources"] == {
            "requests": {"cpu": "100m", "memory": "24Mi"},
            "limits": {"memory": "96Mi"},
        }
        assert container["livenessProbe"]["httpGet"] == container["readinessProbe"]["httpGet"]
        assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 4)
