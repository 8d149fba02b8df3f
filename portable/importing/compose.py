"""A compose file as a draft of a spec: https://github.com/compose-spec/compose-spec

Compose runs images as they are, so their own user and a writable file system are kept. Values that look like secrets do not
go into the draft: each becomes a secret resource, to be set with `portable secret set`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from portable.importing import compose_service
from portable.importing.compose_service import Project
from portable.importing.dotenv import parse
from portable.importing.draft import Draft, Section, label, members, shaped
from portable.importing.interpolation import interpolated
from portable.spec.document import Document
from portable.spec.load import decode, parse_all, read_bytes

_TOP = {
    "networks": "the app's workloads reach each other by name; network policies come from what the spec refers to",
    "include": "import each file, and put the workloads together",
    "models": "portable runs no models by itself",
}


def from_compose(file: Path, *, profiles: Collection[str] = ()) -> Draft:
    """Services without a profile and those of `profiles`. Raises SpecError where the file is no YAML."""
    documents = parse_all(decode(read_bytes(file), str(file)), str(file))
    document = documents[0]
    environment = _dotenv(file.parent / ".env")
    result = interpolated(document.root, environment)
    document = document.replaced(result.root)
    draft = Draft(label(str(_name(document) or file.resolve().parent.name)))
    top = Section(document.root, document, draft, "")
    for name, node in result.missing:
        top.report(node, f"${name} has no value here", "put the value in its place, or into .env before importing")
    with shaped(top, "the file"):
        services = _services(top, profiles)
    project = Project(
        file.parent, _section(top, "secrets"), _section(top, "configs"), _section(top, "volumes"), services
    )
    for name, service in services.items():
        with shaped(service, f"the service {name}"):
            draft.workloads[label(name)] = compose_service.workload(project, name, service)
    compose_service.connect(project, draft)
    extensions = tuple(key for key in top.members() if key.startswith("x-"))
    top.close(_TOP, silent=("name", "version", *extensions))
    for further in documents[1:]:
        Section(further.root, further, draft, "").report(None, "a second document is not taken over")
    return draft


def _name(document: Document) -> Any:
    name = document.root.child("name")
    return name.plain() if name is not None else None


def _dotenv(file: Path) -> Mapping[str, str]:
    return parse(file.read_text(encoding="utf-8", errors="replace")) if file.is_file() else {}


def _services(top: Section, profiles: Collection[str]) -> dict[str, Section]:
    found: dict[str, Section] = {}
    for name, node in members(top.take("services")).items():
        service = Section(node, top.document, top.draft, label(name))
        wanted = service.value("profiles", [])
        if wanted and "*" not in profiles and not set(wanted) & set(profiles):
            top.report(node, f"{name} is not taken over: it is in the profile {', '.join(wanted)}", "`--profile NAME`")
            continue
        found[name] = service
    return found


def _section(top: Section, key: str) -> Mapping[str, Section]:
    return {name: top.of(node) for name, node in members(top.take(key)).items()}
