"""How to tell that a text in a spec belongs to Google Cloud."""

from __future__ import annotations

from portable.provider import ForeignMark

MARKS = (
    ForeignMark(
        r"@[a-z0-9.-]+\.gserviceaccount\.com$",
        "a Google service account",
        "`identity` in an environment of Google Cloud",
        place="identity",
    ),
    ForeignMark(
        r"^([a-z]+\.)?gcr\.io/|-docker\.pkg\.dev/",
        "an image in Google's registry",
        "`build`, which pushes to the cloud's own registry; or the image in an environment of Google Cloud",
        place="image",
    ),
    ForeignMark(
        r"\.(googleapis\.com|run\.app|cloudfunctions\.net)\b",
        "a host of Google Cloud",
        "a resource, or a secret that each environment sets",
    ),
    ForeignMark(
        r"^projects/[a-z][a-z0-9-]+/", "a resource name of Google Cloud", "a secret that each environment sets"
    ),
    ForeignMark(
        r"(^|[./])(gke\.io|cloud\.google\.com)/|^ingress\.gcp\.kubernetes\.io/",
        "an annotation or label of GKE",
        "the spec's own key for it, or a patch with `cloud: gcp`",
        where="key",
    ),
    ForeignMark(
        r"^((standard|premium|enterprise|zonal|regional)-rw[ox]|pd-(ssd|balanced|standard))$",
        "a storage class of GKE",
        "`access: single` or `shared`",
    ),
    ForeignMark(
        r"^(a2|a3|c2|c2d|c3|c3d|c4|e2|m1|m2|m3|n1|n2|n2d|n4|t2a|t2d)-(standard|highmem|highcpu|micro|small|medium)(-[0-9]+)?$",
        "a machine type of Google Cloud",
        "`cluster.nodes.cpu` and `memory`",
    ),
    ForeignMark(
        r"^(us|europe|asia|australia|northamerica|southamerica|me|africa)-(north|south|east|west|central)[a-z]*[0-9]+(-[a-f])?$",
        "a region or zone of Google Cloud",
        "`cluster.region` in an environment of Google Cloud",
        place="region",
    ),
)
