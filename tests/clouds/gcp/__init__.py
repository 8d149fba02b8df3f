"""A stand-in for the parts of Google Cloud that `portable` calls, strict by Google's own discovery documents.

A mock, written here: there is no emulator of GKE that can be had (mockgcp of Google's config connector does not build from
its public snapshot, and floci-gcp has no node pools). What keeps it honest is not ours: every request is checked against the
discovery documents that google-api-python-client ships and against the protobuf messages of google-cloud-container, every
reply too; refusals are worded as Google's own (sources beside them); and recorded logs are replayed apart from it.
"""
