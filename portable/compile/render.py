"""Objects as YAML that kubectl takes: one document each, with the Secrets that are not in it named in front."""

from __future__ import annotations

import re
from typing import Any

import yaml

from portable.compile.objects import Objects

# Text that some YAML reader takes for a number although PyYAML would not quote it ("1e3", "0o17", "12e45").
_LIKE_A_NUMBER = re.compile(r"[-+.]?[0-9][-+.0-9a-fA-FxXoO_:]*")


class _Dumper(yaml.CSafeDumper):
    """Block style, long texts as they are, no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else "'" if _LIKE_A_NUMBER.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def render_yaml(objects: Objects) -> str:
    """All objects of an app, in the order in which they can be applied."""
    documents = (item.manifest for item in objects.items)
    body = yaml.dump_all(
        documents, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=1_000_000,
        explicit_start=True,
    )  # fmt: skip
    return "".join(f"{line}\n" for line in _preface(objects)) + body


def _preface(objects: Objects) -> list[str]:
    environment = f", environment {objects.environment}" if objects.environment else ""
    lines = [f"# {objects.app}{environment} on {objects.cloud}, made by portable."]
    given = [secret for secret in objects.expected if not secret.certificate_hosts]
    if given:
        lines.append("# Secrets that must be there (`portable secret set`):")
        lines += [f"#   {secret.name} ({secret.type}): {', '.join(secret.keys)}" for secret in given]
    if objects.generated or len(given) < len(objects.expected):
        lines.append("# Secrets that `portable up` makes, and that are not in this file:")
    for generated in objects.generated:
        keys = sorted({*generated.generate, *generated.fixed, *generated.templates})
        lines.append(f"#   {generated.name} (Opaque): {', '.join(keys)}")
    for secret in objects.expected:
        if secret.certificate_hosts:
            hosts = ", ".join(secret.certificate_hosts)
            lines.append(f"#   {secret.name} ({secret.type}): {', '.join(secret.keys)}, valid for {hosts}")
    lines += [f"# {note}" for note in objects.notes]
    return lines
