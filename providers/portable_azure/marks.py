"""How to tell that a text in a spec belongs to Azure."""

from __future__ import annotations

from portable.provider import ForeignMark

MARKS = (
    ForeignMark(
        r"\.azurecr\.(io|cn|us)\b",
        "an image in Azure's registry",
        "`build`, which pushes to the cloud's own registry; or the image in an environment of Azure",
        place="image",
    ),
    ForeignMark(
        r"(?i)^/?subscriptions/[0-9a-f-]{36}\b",
        "a resource id of Azure",
        "`identity` in an environment of Azure",
        place="identity",
    ),
    ForeignMark(
        r"\.(azure\.com|windows\.net|azurewebsites\.net|azure\.net|azurefd\.net|trafficmanager\.net)\b",
        "a host of Azure",
        "a resource, or a secret that each environment sets",
    ),
    ForeignMark(
        r"(^|[./])(kubernetes\.azure\.com|azure\.workload\.identity|appgw\.ingress\.kubernetes\.io)/|kubernetes\.io/azure-",
        "an annotation or label of AKS",
        "the spec's own key for it, or a patch with `cloud: azure`",
        where="key",
    ),
    ForeignMark(
        r"^(managed(-csi)?(-premium)?|azurefile(-csi)?(-premium)?|azureblob-(fuse|nfs)(-premium)?)$",
        "a storage class of AKS",
        "`access: single` or `shared`",
    ),
    ForeignMark(r"^Standard_[A-Z]+[0-9]+[a-z]*(_v[0-9])?$", "a VM size of Azure", "`cluster.nodes.cpu` and `memory`"),
)
