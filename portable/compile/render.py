"""Objects as YAML that kubectl takes: one document each, with the Secrets that are not in it named in front."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import yaml
from yaml import events

from portable.compile.objects import Objects

# What kubectl's YAML reader takes for a number or a truth value, beyond what PyYAML knows ("1e3", "0o17", "12e45", "n").
_MISREAD = re.compile(r"[-+.]?[0-9][-+.0-9a-fA-FxXoO_:]*|[yYnN]")
_OTHER_TYPES = yaml.SafeDumper.yaml_implicit_resolvers
_PLAIN, _QUOTED = (True, False), (True, True)
# For CDumper.emit, which writes them as they are; a mapping or list that is empty is written in flow style.
_MAP = {flow: events.MappingStartEvent(None, None, True, flow_style=flow) for flow in (False, True)}
_LIST = {flow: events.SequenceStartEvent(None, None, True, flow_style=flow) for flow in (False, True)}
_MAP_END, _LIST_END = events.MappingEndEvent(), events.SequenceEndEvent()


def render_yaml(objects: Objects) -> str:
    """All objects of an app, in the order in which they can be applied."""
    preface = "".join(f"{line}\n" for line in _preface(objects))
    return preface + documents_yaml(item.manifest for item in objects.items)


def documents_yaml(documents: Iterable[Any]) -> str:
    """One YAML document for each value, as kubectl reads it.

    Feeds events to the C emitter: `yaml.dump_all` makes a node of every value first and takes five times as long.
    """
    stream = io.StringIO()
    dumper: Any = yaml.CDumper(stream, allow_unicode=True, width=1_000_000)
    dumper.open()
    for document in documents:
        dumper.emit(events.DocumentStartEvent(explicit=True))
        _emit(dumper.emit, document)
        dumper.emit(events.DocumentEndEvent(explicit=False))
    dumper.close()
    return stream.getvalue()


def _emit(emit: Callable[[events.Event], None], value: Any) -> None:
    if isinstance(value, dict):
        emit(_MAP[not value])
        for key, entry in value.items():
            emit(_scalar(key))
            _emit(emit, entry)
        emit(_MAP_END)
    elif isinstance(value, list | tuple):
        emit(_LIST[not value])
        for entry in value:
            _emit(emit, entry)
        emit(_LIST_END)
    elif isinstance(value, str):
        emit(_scalar(value))
    else:
        text = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
        emit(events.ScalarEvent(None, None, _PLAIN, text))


@lru_cache(maxsize=8192)
def _scalar(text: str) -> events.ScalarEvent:
    """Long texts as they stand; quotes where a reader would take the text for something else (no, 1e3, 2026-01-01)."""
    style = None
    if "\n" in text:
        style = "|"
    elif _MISREAD.fullmatch(text) or any(kind.match(text) for _, kind in _OTHER_TYPES.get(text[:1], ())):
        style = "'"
    return events.ScalarEvent(None, None, _QUOTED, text, style=style)


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
