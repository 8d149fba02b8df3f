"""Coming to `portable`: a spec drafted from a compose file, a Score file or Kubernetes manifests (docs/importing.md)."""
