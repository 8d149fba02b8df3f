"""The program as users and scripts meet it: exit codes, streams, colours, signals, pipes."""

from __future__ import annotations

import json
import os
import pty
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.programs import HELLO, PORTABLE, clean_environment, portable, run_python

pytestmark = pytest.mark.unit

BAD = HELLO.replace("image:", "imag:")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "portable.yaml").write_text(HELLO)
    return tmp_path


def test_version_imports_nothing_heavy(tmp_path: Path) -> None:
    done = run_python(
        tmp_path,
        "import sys; before = set(sys.modules); from portable.cli import main; main(['--version'])\n"
        "print(*sorted(set(sys.modules) - before))",
    )
    version, modules = done.stdout.splitlines()
    assert version.startswith("portable ")
    assert modules.split() == ["portable", "portable.cli"]


def test_validate_imports_no_terminal_no_cluster_no_engine(folder: Path) -> None:
    (folder / "portable.yaml").write_text(HELLO.partition("resources:")[0])  # without warnings
    done = run_python(
        folder,
        "import sys; from portable.cli import main; code = main(['validate'])\n"
        "heavy = {'rich', 'pulumi', 'lightkube', 'httpx2', 'grpc', 'boto3'} & set(sys.modules)\nprint(code, heavy)",
    )
    assert done.stdout.splitlines()[-1] == "0 set()", done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["upp"], 2, "Did you mean 'up'?"),
        (["apply"], 2, "Did you mean 'up'?"),
        (["validate", "--clod", "kind"], 2, "'--cloud'"),
        (["validate", "no-such-file.yaml"], 2, "no-such-file.yaml"),
        (["render", "--cloud", "nowhere"], 2, "nowhere"),
        (["render", "--cloud", "kimd"], 2, 'did you mean "kind"?'),
        (["render", "--cloud", "gek"], 2, 'did you mean "gke"?'),
        (["render"], 2, "--cloud"),
        (["up", "--cloud", "kind"], 2, "--yes"),
        (["destroy", "--cloud", "kind"], 2, "--yes"),
        (["up", "--cloud", "kind", "--secret", "api-token"], 2, "NAME[.KEY]=FILE"),
        (["schema", "nothing"], 2, "app.v1"),
        (["logs", "wbe", "--cloud", "kind"], 2, 'did you mean "web"?'),
        (["secret"], 2, "list"),
        (["version"], 2, "Did you mean '--version'?"),
        (["up", "-f", "portable.yaml"], 2, "`portable up FILE`"),
        (["plan", "-o", "json"], 2, "`--output json`"),
        (["up", "--dry-run"], 2, "`portable plan`"),
        (["help", "nothing"], 2, "no such command 'nothing'"),
    ],
)
def test_wrong_usage_is_2_and_says_what_to_do(folder: Path, arguments: list[str], code: int, said: str) -> None:
    done = portable(folder, *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_no_spec_names_init(tmp_path: Path) -> None:
    done = portable(tmp_path, "validate")
    assert done.returncode == 2
    assert "portable init" in done.stderr


def test_a_folder_stands_for_the_spec_in_it(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "shop").mkdir()
    (folder / "portable.yaml").rename(folder / "shop" / "portable.yaml")
    assert portable(folder, "validate", "shop").stdout.startswith("shop/portable.yaml is valid: hello")
    assert portable(folder, "render", "shop", "--cloud", "kind").returncode == 0
    refused = portable(folder, "validate", "empty")
    assert (refused.returncode, f"no portable.yaml in {folder / 'empty'}" in refused.stderr) == (2, True)


def test_score_file_is_found_after_portable_yaml(tmp_path: Path) -> None:
    (tmp_path / "score.yaml").write_text(
        "apiVersion: score.dev/v1b1\nmetadata: {name: plain}\ncontainers: {main: {image: 'example.com/x:1'}}\n"
    )
    assert portable(tmp_path, "validate").stdout.startswith("score.yaml is valid: plain")
    (tmp_path / "portable.yaml").write_text(HELLO)
    assert portable(tmp_path, "validate").stdout.startswith("portable.yaml is valid: hello")


def test_wrong_spec_is_2_with_place_and_caret(folder: Path) -> None:
    (folder / "portable.yaml").write_text(BAD)
    done = portable(folder, "validate")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[0].startswith("portable.yaml:")
    caret = next(index for index, line in enumerate(lines) if line.rstrip().endswith("^"))
    assert lines[caret - 1][lines[caret].index("^") :].startswith(("imag", "web"))


def test_init_writes_a_valid_spec_and_never_overwrites(tmp_path: Path) -> None:
    assert portable(tmp_path, "init").returncode == 0
    written = (tmp_path / "portable.yaml").read_text()
    assert portable(tmp_path, "validate", "--cloud", "all").returncode == 0
    (tmp_path / "portable.yaml").write_text("mine")
    refused = portable(tmp_path, "init")
    assert refused.returncode == 2
    assert "name another file" in refused.stderr
    assert (tmp_path / "portable.yaml").read_text() == "mine"
    schema = tmp_path / ".portable" / "app.v1.schema.json"
    schema.write_text("mine, too")
    assert portable(tmp_path, "init", "other.yaml").stdout.startswith("wrote other.yaml\n")
    assert ((tmp_path / "other.yaml").read_text(), schema.read_text()) == (written, "mine, too")


@pytest.mark.parametrize(
    ("folder_name", "words", "name"),
    [
        ("Web_Shop 2", [], "web-shop-2"),
        ("42", [], "hello"),
        ("a" * 29 + "--b", [], "a" * 29),
        ("shop", ["--name", "other"], "other"),
    ],
)
def test_init_calls_the_app_as_its_folder(tmp_path: Path, folder_name: str, words: list[str], name: str) -> None:
    place = tmp_path / folder_name
    place.mkdir()
    assert portable(place, "init", *words).returncode == 0
    assert portable(place, "validate").stdout.startswith(f"portable.yaml is valid: {name}: ")
    assert f"{name}.localhost" in (place / "portable.yaml").read_text()


def test_init_refuses_a_name_that_no_app_can_have(tmp_path: Path) -> None:
    done = portable(tmp_path, "init", "--name", "Web Shop")
    assert (done.returncode, "lower-case letters" in done.stderr) == (2, True)
    assert not (tmp_path / "portable.yaml").exists()


def test_the_header_that_init_writes_leads_to_the_schema(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    done = portable(tmp_path, "--output", "json", "init", "shop/portable.yaml")
    spec = tmp_path / "shop" / "portable.yaml"
    header = spec.read_text().splitlines()[0]
    schema = spec.parent / header.removeprefix("# yaml-language-server: $schema=")
    assert json.loads(schema.read_text()) == json.loads(portable(tmp_path, "schema").stdout)
    named = [str(path.relative_to(tmp_path)) for path in (spec, schema)]
    assert json.loads(done.stdout) == {"file": named[0], "written": named}


def test_init_says_where_nothing_can_be_written(tmp_path: Path) -> None:
    done = portable(tmp_path, "init", "missing/portable.yaml")
    assert (done.returncode, "folder that exists" in done.stderr) == (2, True)
    (tmp_path / ".portable").write_text("a file where the schema's folder would be")
    done = portable(tmp_path, "init")
    assert (done.returncode, "portable schema" in done.stderr) == (2, True)
    assert (tmp_path / "portable.yaml").is_file()


@pytest.mark.parametrize("place", ["before", "after"])
def test_json_errors_are_json_on_standard_output(folder: Path, place: str) -> None:
    (folder / "portable.yaml").write_text(BAD)
    words = ["--output", "json", "validate"] if place == "before" else ["validate", "--output=json"]
    done = portable(folder, *words)
    assert done.returncode == 2
    assert done.stderr == ""
    error = json.loads(done.stdout)["error"]
    assert error["type"] == "SpecError"
    assert error["problems"][0]["line"] > 0


def test_json_usage_errors_are_json_too(folder: Path) -> None:
    done = portable(folder, "--output", "json", "upp")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["message"].startswith("no such command 'upp'")


@pytest.mark.parametrize(
    "arguments",
    [["validate"], ["render", "--cloud", "gke"], ["providers", "list"], ["providers", "show", "aks"], ["schema"]],
)
def test_json_documents_parse(folder: Path, arguments: list[str]) -> None:
    done = portable(folder, *arguments, "--output", "json")
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), dict)


def test_aliases_mean_the_same(folder: Path) -> None:
    for name, alias in (("aws", "eks"), ("gcp", "gke"), ("azure", "aks")):
        by_name, by_alias = (portable(folder, "render", "--cloud", cloud) for cloud in (name, alias))
        assert by_name.returncode == 0, by_name.stderr
        assert by_name.stdout == by_alias.stdout


def test_reader_that_leaves_is_no_failure(folder: Path) -> None:
    # More than a pipe holds, so that the writer meets the closed end.
    (folder / "portable.yaml").write_text(_many_workloads(200))
    shell = f"set -o pipefail; {PORTABLE} render --cloud kind | head -1"
    done = subprocess.run(
        ["bash", "-c", shell], cwd=folder, env=clean_environment(folder), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "Broken" not in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_interrupt_in_order(folder: Path, number: signal.Signals) -> None:
    program = (
        "import sys, time, portable.target\n"
        "def wait(*_):\n"
        "    try:\n"
        "        print('waiting', flush=True)\n"
        # not one long sleep: a signal in the moment before it begins would wait for its end
        "        while True: time.sleep(0.05)\n"
        "    finally: print('tidied', flush=True)\n"
        "portable.target.open_target = wait\n"
        "from portable.cli import main\nsys.exit(main(['render']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=folder,
        env=clean_environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == "tidied\n"
    assert err.strip() == "error: interrupted"


def test_unexpected_error_shows_no_traceback_and_logs_it_without_secrets(folder: Path) -> None:
    program = (
        "import sys, portable.target\n"
        "def fail(*_): raise ValueError('password=hunter22 at postgres://me:s3cretpw@db/x')\n"
        "portable.target.open_target = fail\n"
        "from portable.cli import main\nsys.exit(main(['render', '--cloud', 'kind']))"
    )
    done = run_python(folder, program)
    assert done.returncode == 1
    assert "something unexpected happened while running `portable render`" in done.stderr
    assert "Traceback" not in done.stderr
    log = folder / "state" / "portable" / "log" / "portable.log"
    assert str(log) in done.stderr
    text = log.read_text()
    assert "ValueError" in text
    assert "render --cloud kind" in text
    assert "hunter22" not in text
    assert "s3cretpw" not in text
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_verbose_shows_the_traceback(folder: Path) -> None:
    program = (
        "import sys, portable.target\n"
        "def fail(*_): raise ValueError('odd')\n"
        "portable.target.open_target = fail\n"
        "from portable.cli import main\nsys.exit(main(['render', '--verbose']))"
    )
    assert "ValueError: odd" in run_python(folder, program).stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "colored"),
    [([], {}, True), (["--no-color"], {}, False), ([], {"NO_COLOR": "1"}, False), ([], {"TERM": "dumb"}, False)],
)
def test_colours_on_a_terminal_only_where_wanted(
    folder: Path, arguments: list[str], environment: dict[str, str], colored: bool
) -> None:
    (folder / "portable.yaml").write_text(BAD)
    screen = _on_terminal(folder, ["validate", *arguments], environment)
    assert "portable.yaml:" in screen
    assert ("\x1b[" in screen) is colored


def test_names_that_the_locale_cannot_spell_are_no_failure(folder: Path) -> None:
    (folder / "portable.yaml").write_text(BAD.replace("hello.localhost", "käse.localhost"), encoding="utf-8")
    done = portable(folder, "validate", environment={"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.isascii()
    assert "-> " in done.stderr


def test_render_writes_the_same_files_and_removes_its_own_old_ones(folder: Path) -> None:
    first = portable(folder, "render", "--cloud", "kind", "-o", "out")
    assert first.returncode == 0, first.stderr
    before = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    assert set(before) == {"_shared.yaml", "web.yaml"}
    (folder / "out" / "notes.yaml").write_text("mine: true\n")
    (folder / "portable.yaml").write_text(HELLO.replace("  web:\n    containers", "  page:\n    containers"))
    assert portable(folder, "render", "--cloud", "kind", "-o", "out").returncode == 0
    assert {path.name for path in (folder / "out").iterdir()} == {"_shared.yaml", "page.yaml", "notes.yaml"}
    (folder / "portable.yaml").write_text(HELLO)
    assert portable(folder, "render", "--cloud", "kind", "-o", "out").returncode == 0
    assert {path.name: path.read_bytes() for path in (folder / "out").iterdir() if path.name in before} == before


def test_render_writes_one_file_where_a_file_is_named(folder: Path) -> None:
    first = portable(folder, "render", "--cloud", "kind", "-o", "all.yaml")
    assert (first.returncode, first.stdout) == (0, "wrote all.yaml\n"), first.stderr
    written = (folder / "all.yaml").read_text()
    assert written.partition("\n")[2] == portable(folder, "render", "--cloud", "kind").stdout
    again = portable(folder, "render", "--cloud", "kind", "-o", "all.yaml", "--output", "json")
    assert json.loads(again.stdout) == {"folder": ".", "files": ["all.yaml"]}
    (folder / "mine.yaml").write_text("mine")
    refused = portable(folder, "render", "--cloud", "kind", "-o", "mine.yaml")
    assert (refused.returncode, "name another file" in refused.stderr) == (2, True)
    assert (folder / "mine.yaml").read_text() == "mine"


def test_render_does_not_overwrite_foreign_files(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "web.yaml").write_text("mine: true\n")
    done = portable(folder, "render", "--cloud", "kind", "-o", "out")
    assert done.returncode == 2
    assert (folder / "out" / "web.yaml").read_text() == "mine: true\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_back(folder: Path, shell: str) -> None:
    assert "_PORTABLE_COMPLETE" in portable(folder, "completion", shell).stdout


def test_completion_knows_commands_clouds_environments_and_workloads(folder: Path) -> None:
    def complete(line: str) -> list[str]:
        words = {"_PORTABLE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
        return [entry.partition(",")[2] for entry in portable(folder, environment=words).stdout.split()]

    assert complete("portable va") == ["validate"]
    assert "kind" in complete("portable up --cloud ")
    assert complete("portable up -e d") == ["dev"]
    assert complete("portable logs w") == ["web"]


def _on_terminal(folder: Path, arguments: list[str], environment: dict[str, str]) -> str:
    """What a person would see: the program on a pseudo-terminal of its own."""
    leader, follower = pty.openpty()
    settings = clean_environment(folder) | {"TERM": "xterm-256color"} | environment
    process = subprocess.Popen(
        [PORTABLE, *arguments], cwd=folder, env=settings, stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    seen = b""
    try:
        while chunk := os.read(leader, 4096):
            seen += chunk
    except OSError:  # the terminal's end: the program has gone
        pass
    process.wait(timeout=30)
    os.close(leader)
    return seen.decode()


def _many_workloads(number: int) -> str:
    head = "apiVersion: portable/v1\nkind: App\nmetadata: {name: many}\nworkloads:\n"
    return head + "".join(f"  w{i}: {{containers: {{main: {{image: 'example.com/w:{i}'}}}}}}\n" for i in range(number))
