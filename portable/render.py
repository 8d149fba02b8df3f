"""`render`: the compiled objects as YAML for kubectl, as one text or as one file for each workload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from portable.compile.objects import Objects
from portable.compile.render import render_yaml
from portable.errors import Problem, UsageError
from portable.target import Request, compile_target, open_target

# No workload can be called so, and it sorts before every name: `kubectl apply -f DIR` makes the namespace first.
SHARED = "_shared"
_MARK = "# portable render: "


@dataclass(frozen=True)
class Rendered:
    objects: Objects
    warnings: tuple[Problem, ...]

    def text(self) -> str:
        return render_yaml(self.objects)

    def files(self) -> Mapping[str, str]:
        """File name -> its content: what the workloads share, then one file for each. The same names for the same spec."""
        names = [None, *dict.fromkeys(item.workload for item in self.objects.items if item.workload)]
        return {f"{name or SHARED}.yaml": self._file(name) for name in names}

    def document(self) -> dict[str, Any]:
        """All that `text` says, for programs."""
        return {
            "namespace": self.objects.namespace,
            "objects": [item.manifest for item in self.objects.items],
            "expectedSecrets": self.objects.expected,
            "generatedSecrets": [
                {"name": secret.name, "keys": sorted({*secret.generate, *secret.fixed, *secret.templates})}
                for secret in self.objects.generated
            ],
            "notes": self.objects.notes,
            "digest": self.objects.digest,
        }

    def _file(self, workload: str | None) -> str:
        items = tuple(item for item in self.objects.items if item.workload == workload)
        part = replace(self.objects, items=items)
        if workload is not None:
            part = replace(part, expected=(), generated=(), notes=())
        return f"{_MARK}{self.objects.namespace}\n{render_yaml(part)}"


def render(request: Request) -> Rendered:
    target = open_target(request)
    return Rendered(compile_target(target), target.warnings)


def write(rendered: Rendered, target: Path) -> list[str]:
    """One file where `target` is called like one (*.yaml), else a folder of them. Returns the names written.

    Raises UsageError where `target` cannot be written, or holds files of the same names that are not ours.
    """
    if target.is_dir() or target.suffix not in (".yaml", ".yml"):
        return _write_folder(rendered, target)
    mark = f"{_MARK}{rendered.objects.namespace}\n"
    try:
        if target.exists() and not target.read_bytes().startswith(_MARK.encode()):
            raise UsageError(f"{target} is there, and `portable render` did not write it", fix="name another file")
        target.write_text(mark + rendered.text(), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}", fix="name another file") from error
    return [target.name]


def _write_folder(rendered: Rendered, folder: Path) -> list[str]:
    """Writes the files, and removes those of an earlier run that no workload has any more."""
    files = rendered.files()
    mark = f"{_MARK}{rendered.objects.namespace}\n".encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = {path.name: path.read_bytes().startswith(mark) for path in sorted(folder.glob("*.yaml"))}
        foreign = [name for name in files if not found.get(name, True)]
        if foreign:
            raise UsageError(
                f"{folder} has files that `portable render` did not write: {', '.join(foreign)}",
                fix="name another folder, or remove them",
            )
        for name, ours in found.items():
            if ours and name not in files:
                (folder / name).unlink()
        for name, content in files.items():
            (folder / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}", fix="name another folder") from error
    return list(files)
