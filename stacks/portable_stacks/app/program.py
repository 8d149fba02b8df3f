"""The app stack: a Pulumi program with one resource for each Kubernetes object of an app. Run inline by `portable.engine`."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pulumi

from portable.compile.objects import GeneratedSecret
from portable_stacks.app.resources import CREDENTIAL, Resource, credential_name

PROVIDER_NAME = "kubernetes"
_PLACEHOLDER = re.compile(r"\$\$|\$\{([^}]+)\}")

Values = Mapping[str, Mapping[str, str]]


def program(resources: Sequence[Resource], *, kubeconfig: str, cluster: str) -> Callable[[], None]:
    """The program that holds `resources` (ordered, see `app_resources`) in the cluster that `kubeconfig` leads to.

    `cluster` identifies the cluster for good: as long as it is the same, new credentials for it replace nothing.
    """

    def run() -> None:
        provider = pulumi.ProviderResource(
            "kubernetes",
            PROVIDER_NAME,
            # as the official SDK sends it: what is not text is JSON
            {
                "kubeconfig": pulumi.Output.secret(kubeconfig),
                "clusterIdentifier": cluster,
                "enableServerSideApply": "true",
                # the official plugin would replace what changes in place otherwise
                "enableConfigMapMutable": "true",
                "enableSecretMutable": "true",
            },
        )
        made: dict[str, pulumi.CustomResource] = {}
        for resource in resources:
            made[resource.name] = _register(resource, made, provider)

    return run


def _register(
    resource: Resource, made: Mapping[str, pulumi.CustomResource], provider: pulumi.ProviderResource
) -> pulumi.CustomResource:
    ours = resource.type.startswith("portable:")
    options = pulumi.ResourceOptions(
        depends_on=[made[name] for name in resource.depends_on],
        retain_on_delete=resource.kept,
        provider=None if ours else provider,
    )
    inputs: dict[str, Any] = dict(resource.inputs)
    if resource.type == CREDENTIAL:
        inputs["values"] = None  # the output that the program reads
    if resource.secret is not None:
        inputs["data"] = _composed(resource.secret, made)
    if resource.type == "kubernetes:core/v1:Secret":
        options.additional_secret_outputs = ["data", "stringData"]
        inputs |= {key: pulumi.Output.secret(inputs[key]) for key in ("data", "stringData") if key in inputs}
    return pulumi.CustomResource(resource.type, resource.name, inputs, options)


def _composed(secret: GeneratedSecret, made: Mapping[str, pulumi.CustomResource]) -> pulumi.Output[dict[str, str]]:
    """The Secret's `data`: generated, fixed and composed values in base64."""
    names = [name.removeprefix("Credential/") for name in made if name.startswith("Credential/")]
    outputs = [made[credential_name(name)].__dict__["values"] for name in names]
    return pulumi.Output.all(*outputs).apply(
        lambda values: {
            key: base64.b64encode(value.encode()).decode()
            for key, value in compose(secret, dict(zip(names, values, strict=True))).items()
        }
    )


def compose(secret: GeneratedSecret, credentials: Values) -> dict[str, str]:
    """All values of a generated Secret in clear. `credentials`: the name of a Secret -> its generated values.

    Raises KeyError for a template that names a key or a Secret that is not there.
    """
    own = {**secret.fixed, **{key: credentials[secret.name][key] for key in secret.generate}}

    def value(match: re.Match[str]) -> str:
        if match.group() == "$$":
            return "$"
        name, _, key = match.group(1).rpartition("/")
        return credentials[name][key] if name else own[key]

    return own | {key: _PLACEHOLDER.sub(value, template) for key, template in secret.templates.items()}
