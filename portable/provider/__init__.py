"""The plugin protocol: what a cloud must be able to do for `portable`, and how plugins are found.

A plugin is a class named by an entry point in the group `portable.providers`; see `providers/portable_kind` for a complete
one. It knows one cloud and imports that cloud's SDK inside the methods that need it. Nothing here knows a cloud.

    plugin      what every plugin has            access      how a cluster is reached
    profile     what the compiler reads of it    resources   what a cluster stack holds
    installed   how it is found

and what it may have: images, routes, kept (data, and the sweep of what is none), marks. Import all of it from here.
"""

from portable.provider.access import Credentials, Identities, Token, Tokens
from portable.provider.images import ImageArchives, LiveFiles, LocalImages, Registry, RegistryLogin
from portable.provider.installed import ENTRY_POINT_GROUP, load_provider, missing_sdk, provider_names
from portable.provider.kept import KeptData, KeptVolumes, Leftover, Sweep
from portable.provider.marks import ForeignMark, ForeignMarks
from portable.provider.plugin import PROTOCOL_VERSION, Check, ClusterState, Provider
from portable.provider.profile import IdentityProfile, IngressProfile, KubeObject, Profile, StorageProfile
from portable.provider.resources import (
    ClusterResource,
    Diff,
    Inputs,
    NativeResource,
    NativeResources,
    Outputs,
    Ref,
    ResourceType,
    references,
    resolved,
)
from portable.provider.routes import (
    ADDRESS_TYPES,
    Certificate,
    Certificates,
    Dns,
    Record,
    RouteAddress,
    Routes,
    Zones,
)

__all__ = [
    "ADDRESS_TYPES",
    "ENTRY_POINT_GROUP",
    "PROTOCOL_VERSION",
    "Certificate",
    "Certificates",
    "Check",
    "ClusterResource",
    "ClusterState",
    "Credentials",
    "Diff",
    "Dns",
    "ForeignMark",
    "ForeignMarks",
    "Identities",
    "IdentityProfile",
    "ImageArchives",
    "IngressProfile",
    "Inputs",
    "KeptData",
    "KeptVolumes",
    "KubeObject",
    "Leftover",
    "LiveFiles",
    "LocalImages",
    "NativeResource",
    "NativeResources",
    "Outputs",
    "Profile",
    "Provider",
    "Record",
    "Ref",
    "Registry",
    "RegistryLogin",
    "ResourceType",
    "RouteAddress",
    "Routes",
    "StorageProfile",
    "Sweep",
    "Token",
    "Tokens",
    "Zones",
    "load_provider",
    "missing_sdk",
    "provider_names",
    "references",
    "resolved",
]
