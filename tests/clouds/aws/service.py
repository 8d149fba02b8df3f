"""The stand-in as a `Service` of the front: EKS from `eks`, the rest from moto with `rules` on top."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs

from tests.clouds.aws.eks import Account, Eks, Plans
from tests.clouds.aws.model import Model, Refused
from tests.clouds.aws.rules import Rules
from tests.clouds.front import Fault, HttpReply, HttpRequest

ACCOUNT = "123456789012"
REGION = "eu-central-1"
# Amazon's own policies that moto knows are loaded for these alone: all 1,500 take seconds.
_POLICIES = re.compile("AmazonEKS|AmazonEC2ContainerRegistry|AmazonEBSCSI")
_EXPIRED = "The security token included in the request is expired"

Form = Mapping[str, list[str]]


class AwsService:
    """One account in one region. `plans` says what goes wrong; `eks` and `ec2` (moto's) are for tests to look at and meddle with."""

    def __init__(self, plans: Plans | None = None, api_server: tuple[str, str] | None = None) -> None:
        self.plans = plans or Plans()
        self._moto = _moto()
        self.ec2 = _backend("ec2", REGION)
        self.iam = _backend("iam", "aws")
        self.elb = _backend("elbv2", REGION)
        self.logs = _backend("logs", REGION)
        for name, policy in _managed_policies().items():
            self.iam.managed_policies[name] = policy
        account = Account(ACCOUNT, REGION, self._role, self._subnets, self._template)
        self.eks = Eks(account, self.plans, api_server)
        self._rules = Rules(self.ec2, self.eks)
        self._model = Model("eks")
        self._ours = {"vpc": set(self.ec2.vpcs), "group": set(_groups(self.ec2))}
        # calls ("ec2:CreateVpc") that the caller's policies do not allow
        self.denied: set[str] = set()

    # -- Service ---------------------------------------------------------------------------------------------------

    def name(self, request: HttpRequest) -> str:
        service = _service(request)
        if service == "eks":
            return f"eks:{self._model.operation(request)}"
        target = request.headers.get("x-amz-target")
        if target:
            return f"{service}:{target.rpartition('.')[2]}"
        return f"{service}:{_form(request)['Action'][0]}"

    def answer(self, request: HttpRequest) -> HttpReply:
        call, service = self.name(request), _service(request)
        if call in self.denied:
            return _denied(call)
        if service == "eks":
            return self._answer_eks(request)
        if service == "servicequotas":
            return _quota(json.loads(request.body))
        form = _form(request)
        if call == "iam:SimulatePrincipalPolicy":
            return _simulated(form, self.denied)
        refused = self._rules.refuse(call, form)
        if refused is not None:
            return _refusal(service, refused.code, refused.message, refused.status)
        reply = self._ask_moto(request, service)
        if reply.status < 300:
            self._rules.done(call, form)
        return reply

    def refusal(self, fault: Fault, request: HttpRequest) -> HttpReply:
        service, ec2 = _service(request), _service(request) == "ec2"
        if fault is Fault.THROTTLE:
            return _refusal(service, "RequestLimitExceeded" if ec2 else "ThrottlingException", "Rate exceeded", 503 if ec2 else 400)  # fmt: skip
        if fault is Fault.SERVER_ERROR:
            return _refusal(service, "InternalError" if ec2 else "ServerException", "An internal error", 500)
        code = {"ec2": "RequestExpired", "iam": "ExpiredToken", "sts": "ExpiredToken"}.get(service, "ExpiredTokenException")  # fmt: skip
        return _refusal(service, code, _EXPIRED, 400 if ec2 else 403)

    def leftovers(self) -> list[str]:
        """A leftover's first word is its kind. What every account has by itself does not count."""
        ec2 = self.ec2
        return sorted(
            [
                *self.eks.leftovers(),
                *(f"vpc {name}" for name in set(ec2.vpcs) - self._ours["vpc"]),
                *(
                    f"subnet {name}"
                    for zone in ec2.subnets.values()
                    for name, subnet in zone.items()
                    if subnet.vpc_id not in self._ours["vpc"]
                ),
                *(f"internet-gateway {name}" for name in ec2.internet_gateways),
                *(f"route-table {table.id}" for table in ec2.route_tables.values() if not _is_main(table)),
                *(f"nat-gateway {name}" for name, nat in ec2.nat_gateways.items() if nat.state != "deleted"),
                *(f"address {address.allocation_id}" for address in ec2.addresses),
                *(f"security-group {name}" for name in self._security_groups()),
                *(f"launch-template {name}" for name in ec2.launch_templates),
                *(f"volume {name}" for name in ec2.volumes),
                *(f"network-interface {name}" for name in ec2.enis),
                *(f"role {role.name}" for role in self.iam.roles.values() if role.name.startswith("portable-")),
                *(f"load-balancer {name}" for name in self.elb.load_balancers),
                *(f"target-group {name}" for name in self.elb.target_groups),
                *(f"log-group {name}" for name in self.logs.groups),
            ]
        )

    # -- inside ----------------------------------------------------------------------------------------------------

    def _answer_eks(self, request: HttpRequest) -> HttpReply:
        operation = self._model.operation(request)
        try:
            return self._model.reply(operation, self.eks.answer(self._model.parse(request)))
        except Refused as refused:
            return self._model.refusal(operation, refused)

    def _ask_moto(self, request: HttpRequest, service: str) -> HttpReply:
        from werkzeug.test import EnvironBuilder, run_wsgi_app

        headers = {name: value for name, value in request.headers.items() if name != "host"}
        method, query, data = request.method, request.query, request.body
        if (
            "authorization" not in headers
        ):  # a signed address, as an API server redeems it: moto knows only signed requests
            method, query, data = "POST", "", request.query.encode()
            credential = parse_qs(request.query)["X-Amz-Credential"][0]
            headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"
            headers["content-type"] = "application/x-www-form-urlencoded"
        builder = EnvironBuilder(
            method=method, path=request.path, query_string=query, headers=list(headers.items()), data=data
        )
        body, status, replied = run_wsgi_app(self._moto, builder.get_environ(), buffered=True)
        kept = {name: value for name, value in replied.items() if name.lower() not in ("content-length", "connection")}
        return HttpReply(int(status.split()[0]), b"".join(body), kept)

    def _role(self, arn: str) -> Mapping[str, Any] | None:
        role = next((role for role in self.iam.roles.values() if role.arn == arn), None)
        if role is None:
            return None
        policies = {name.rpartition("/")[2] for name in role.managed_policies}
        return {"trust": role.assume_role_policy_document, "policies": policies}

    def _subnets(self, ids: list[str]) -> list[Mapping[str, str]] | None:
        known = {name: subnet for zone in self.ec2.subnets.values() for name, subnet in zone.items()}
        if not set(ids) <= set(known):
            return None
        return [{"vpc": known[name].vpc_id, "zone": known[name].availability_zone} for name in ids]

    def _template(self, name: str, version: str) -> bool:
        template = self.ec2.launch_templates.get(name)
        return template is not None and any(str(each.number) == version for each in template.versions)

    def _security_groups(self) -> set[str]:
        return {
            name for name in set(_groups(self.ec2)) - self._ours["group"] if _groups(self.ec2)[name].name != "default"
        }


def _groups(ec2: Any) -> dict[str, Any]:
    return {name: group for groups in ec2.groups.values() for name, group in groups.items()}


def _is_main(table: Any) -> bool:
    return bool(table.main_association_id)


def _service(request: HttpRequest) -> str:
    """By the scope of the signature, in the header or in the address."""
    signed = request.headers.get("authorization", "") or request.query.replace("%2F", "/")
    scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([a-z0-9-]+)/aws4_request", signed)
    assert scope is not None, f"an unsigned request: {request.method} {request.path}"
    return scope[1]


def _form(request: HttpRequest) -> Form:
    return parse_qs(request.body.decode() if request.body else request.query)


def _refusal(service: str, code: str, message: str, status: int) -> HttpReply:
    if service == "ec2":
        body = f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>"
        return HttpReply(status, body.encode(), {"Content-Type": "text/xml"})
    if service in ("iam", "sts", "elasticloadbalancing"):
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        return HttpReply(status, f"<ErrorResponse>{error}</ErrorResponse>".encode(), {"Content-Type": "text/xml"})
    body = json.dumps({"__type": code, "message": message}).encode()
    return HttpReply(status, body, {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code})


def _denied(call: str) -> HttpReply:
    service = call.partition(":")[0]
    words = f"User: arn:aws:iam::{ACCOUNT}:user/deployer is not authorized to perform: {call} on resource: *"
    if service == "ec2":
        words = "You are not authorized to perform this operation. Encoded authorization failure message: abc"
        return _refusal("ec2", "UnauthorizedOperation", words, 403)
    return _refusal(service, "AccessDenied" if service in ("iam", "sts") else "AccessDeniedException", words, 403)


# Values of a new account: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html, ec2-instance-quotas.html
_QUOTAS = {"L-F678F1CE": 5.0, "L-0263D0A3": 5.0, "L-1216C47A": 32.0, "L-34B43A08": 32.0}


def _quota(given: Mapping[str, str]) -> HttpReply:
    code = given["QuotaCode"]
    if code not in _QUOTAS:
        return _refusal("servicequotas", "NoSuchResourceException", f"no quota {code}", 400)
    quota = {"Quota": {"QuotaCode": code, "ServiceCode": given["ServiceCode"], "Value": _QUOTAS[code]}}
    return HttpReply(200, json.dumps(quota).encode(), {"Content-Type": "application/x-amz-json-1.1"})


def _simulated(form: Form, denied: set[str]) -> HttpReply:
    """For someone who has exactly the policy that `portable providers show aws` prints, less what is `denied`. Without a
    resource IAM takes "*", which only a statement for "*" allows; without a value for it no condition holds."""
    from portable_aws.permissions import policy

    asked = [values[0] for name, values in sorted(form.items()) if name.startswith("ActionNames.member.")]
    (on,) = form.get("ResourceArns.member.1", ["*"])
    (key,) = form.get("ContextEntries.member.1.ContextKeyName", [""])
    (value,) = form.get("ContextEntries.member.1.ContextKeyValues.member.1", [""])

    def decision(call: str) -> str:
        allowed = any(
            call in _listed(statement["Action"])
            and any(fnmatchcase(on, one) for one in _listed(statement["Resource"]))
            and all(
                key == name and value in _listed(values)
                for name, values in statement.get("Condition", {}).get("StringEquals", {}).items()
            )
            for statement in policy()["Statement"]
        )
        return "allowed" if allowed and call not in denied else "implicitDeny"

    results = "".join(
        f"<member><EvalActionName>{call}</EvalActionName><EvalDecision>{decision(call)}</EvalDecision></member>"
        for call in asked
    )
    result = f"<EvaluationResults>{results}</EvaluationResults><IsTruncated>false</IsTruncated>"
    body = f"<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult>{result}</SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    return HttpReply(200, body.encode(), {"Content-Type": "text/xml"})


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


# -- moto ----------------------------------------------------------------------------------------------------------


def _moto() -> Any:
    """moto as one WSGI application, with nothing in it. Its state is the process's: one stand-in at a time."""
    from moto.moto_api._internal.models import moto_api_backend
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    os.environ.setdefault("MOTO_ACCOUNT_ID", ACCOUNT)
    # a thousand images in each region, which nothing here starts from
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    moto_api_backend.reset()
    return DomainDispatcherApplication(create_backend_app)


def _backend(service: Any, region: str) -> Any:
    from moto.backends import get_backend

    return get_backend(service)[ACCOUNT][region]


_loaded: dict[str, Any] = {}


def _managed_policies() -> dict[str, Any]:
    """ARN -> policy. Read once: they never change."""
    if not _loaded:
        from moto.iam.aws_managed_policies import aws_managed_policies_data
        from moto.iam.models import AWSManagedPolicy

        for name, data in json.loads(aws_managed_policies_data).items():
            if _POLICIES.search(name):
                policy = AWSManagedPolicy.from_data(name, ACCOUNT, "us-east-1", data)
                _loaded[policy.arn] = policy
    return {arn: _fresh(policy) for arn, policy in _loaded.items()}


def _fresh(policy: Any) -> Any:
    import copy

    again = copy.copy(policy)
    again.attachment_count = 0
    return again
