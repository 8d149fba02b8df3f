"""The plugins that are installed: entry points of one group."""

from __future__ import annotations

from collections.abc import Sequence

from portable.errors import ToolError, UsageError
from portable.provider.plugin import PROTOCOL_VERSION, Provider

ENTRY_POINT_GROUP = "portable.providers"


def provider_names() -> dict[str, str]:
    """Entry-point name -> "module:Class" of every installed plugin, sorted by name."""
    from importlib.metadata import entry_points

    return {entry.name: entry.value for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda e: e.name)}


def load_provider(name: str) -> Provider:
    """The plugin called `name`, by its name or one of its aliases.

    Raises UsageError for an unknown name (with the known ones) and for a plugin of another protocol version.
    """
    from importlib.metadata import entry_points

    found = {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    entry = found.get(name)
    provider = entry.load()() if entry is not None else _by_alias(name, [each.load()() for each in found.values()])
    if provider.protocol != PROTOCOL_VERSION:
        raise UsageError(
            f"the plugin {provider.name!r} speaks protocol {provider.protocol}, this portable speaks {PROTOCOL_VERSION}",
            fix="install a version of the plugin that matches",
        )
    return provider


def missing_sdk(error: ModuleNotFoundError) -> ToolError | None:
    """What to install where a plugin's own import failed; None where the import that failed is no plugin's."""
    from importlib.metadata import entry_points

    plugins = {entry.module.partition(".")[0]: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    frame, plugin = error.__traceback__, None
    while frame is not None:
        plugin = plugins.get(str(frame.tb_frame.f_globals.get("__name__")).partition(".")[0], plugin)
        frame = frame.tb_next
    if plugin is None or plugin.dist is None:
        return None
    extras = plugin.dist.metadata.get_all("Provides-Extra") or ()
    wanted = f"{plugin.dist.name}[{plugin.name}]" if plugin.name in extras else str(error.name)
    return ToolError(
        f"the SDK of {plugin.name} is not installed: no module {error.name}", fix=f"pip install '{wanted}'"
    )


def _by_alias(name: str, providers: Sequence[Provider]) -> Provider:
    from portable.spec.document import did_you_mean

    for provider in providers:
        if name in provider.aliases:
            return provider
    near = did_you_mean(name, [known for provider in providers for known in (provider.name, *provider.aliases)])
    raise UsageError(
        f"no provider is called {name!r}" + (f": {near}" if near else ""),
        detail=f"installed: {', '.join(sorted(provider.name for provider in providers)) or 'none'}",
        fix="see `portable providers list`",
    )
