"""The Kubernetes API as plain dicts. Importing this imports no HTTP client."""

from portable.kube.client import FIELD_MANAGER, Kube, Propagation
from portable.kube.websocket import hang_up

__all__ = ["FIELD_MANAGER", "Kube", "Propagation", "hang_up"]
