"""The documents hold together: links lead somewhere, every sign has its place, every block can be read."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

from portable.rollout.diagnose import diagnose
from portable.rollout.finding import SIGNS
from portable.terminal.console import console
from portable.terminal.failure import cause_text
from tests.unit.docs.documents import ROOT, Command, File, anchors, blocks, documents, links, steps
from tests.unit.rollout.test_diagnose import recorded

pytestmark = pytest.mark.unit
DOCUMENTS = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in documents()]
TROUBLESHOOTING = blocks(ROOT / "docs/troubleshooting.md")
RECORDED = [name for block in TROUBLESHOOTING for name in re.findall(r"<!-- recorded: (\S+) -->", block.lead)]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for link in links(document):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("document", DOCUMENTS)
def test_blocks_can_be_read(document: Path) -> None:
    steps(document)
    for block in blocks(document):
        if block.language == "yaml":
            yaml.safe_load("\n".join(block.lines))


def test_a_document_is_read_as_it_is_meant(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\n<!-- file: a.yaml -->\n```yaml\nkey: 1\n```\n\n```console\n$ cat \\\n> a.yaml\nkey: 1\n# exits with 3\n"
        "$ exit 3\n```\n\n<!-- not run: it never ends -->\n```console\n$ yes\n```\n"
    )
    assert steps(page) == [
        File("a.yaml", "key: 1\n"),
        Command("cat \\\na.yaml", 9, 0, ["key: 1"]),
        Command("exit 3", 13, 3, []),
    ]


def test_every_fatal_sign_is_explained() -> None:
    text = (ROOT / "docs/troubleshooting.md").read_text()
    assert [sign for sign in SIGNS if f"### {sign}\n" not in text] == []


@pytest.mark.parametrize("name", RECORDED)
def test_a_cause_is_shown_as_it_is_said(name: str) -> None:
    """Against what is made of objects recorded on a real cluster; the workload is called `web` in the document."""
    cause = diagnose(recorded(name))[0].cause
    said = cause_text(console(sys.stdout, color=False), cause).plain
    said = re.sub(rf"(workloads\.|✗ |job ){re.escape(name)}\b", r"\1web", said).splitlines()
    shown = next(block.lines for block in TROUBLESHOOTING if f"recorded: {name} " in block.lead)
    wrong = [
        line for line in shown if line not in said and not any(full.startswith(line.split("...")[0]) for full in said)
    ]
    assert not wrong, said


def test_every_page_is_in_the_index() -> None:
    index = {(ROOT / "docs" / link).resolve() for link in links(ROOT / "docs/README.md")}
    pages = [path for path in documents() if path.parent.name in ("docs", "reference") and path.name != "README.md"]
    assert [path.name for path in pages if path not in index] == []
    records = {(ROOT / "docs/decisions" / link).resolve() for link in links(ROOT / "docs/decisions/README.md")}
    assert [path.name for path in (ROOT / "docs/decisions").glob("0*.md") if path not in records] == []
