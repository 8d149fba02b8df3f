"""How to tell that a text in a spec belongs to AWS."""

from __future__ import annotations

from portable.provider import ForeignMark

MARKS = (
    ForeignMark(r"\barn:aws[a-z-]*:", "an ARN", "`identity` in an environment of AWS takes a role", place="identity"),
    ForeignMark(
        r"\b[0-9]{12}\.dkr\.ecr(-fips)?\.[a-z0-9-]+\.amazonaws\.com",
        "an image in an account's ECR",
        "`build`, which pushes to the cloud's own registry; or the image in an environment of AWS",
        place="image",
    ),
    ForeignMark(r"\.amazonaws\.com(\.cn)?\b", "a host of AWS", "a resource, or a secret that each environment sets"),
    ForeignMark(r"\.cloudfront\.net\b", "a host of AWS", "a name of your own in DNS"),
    ForeignMark(
        r"(^|[./])(amazonaws\.com|k8s\.aws|alb\.ingress\.kubernetes\.io)/|kubernetes\.io/aws-",
        "an annotation or label of EKS",
        "the spec's own key for it, or a patch with `cloud: aws`",
        where="key",
    ),
    ForeignMark(r"^(gp2|gp3|io1|io2|st1|sc1|ebs-sc|efs-sc)$", "a storage class of EKS", "`access: single` or `shared`"),
    ForeignMark(
        r"^[a-z]{1,4}[0-9][a-z0-9-]*\.(nano|micro|small|medium|[0-9]*x?large|metal)$",
        "an instance type of EC2",
        "`cluster.nodes.cpu` and `memory`",
    ),
    ForeignMark(
        r"^(us|eu|ap|sa|ca|me|af|il|mx)-(gov-)?(north|south|east|west|central)[a-z]*-[0-9][a-z]?$",
        "a region of AWS",
        "`cluster.region` in an environment of AWS",
        place="region",
    ),
)
