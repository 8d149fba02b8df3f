"""portable: one app spec, any Kubernetes cloud."""

__version__ = "0.1.0"
