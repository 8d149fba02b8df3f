"""Leaving `portable`: what a spec comes to, as files that need nothing of ours (docs/no-lock-in.md)."""
