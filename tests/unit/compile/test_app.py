"""The app as a whole: order, patches, labels, YAML, profiles and plugins."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from portable.compile import compile_app
from portable.compile.objects import Item, Objects, logical_name
from portable.compile.render import render_yaml
from portable.errors import SpecError
from portable.provider import IdentityProfile, load_provider
from portable.spec.model import App, Cluster, Database, Patch, Route, Scale, Secret, Volume
from tests.unit.compile.apps import PROFILE, app, compiled, manifests, workload

pytestmark = pytest.mark.unit


def patched(*patches: Patch, cloud: str = "test", aliases: tuple[str, ...] = ("testy",)) -> Objects:
    from dataclasses import replace

    whole = app(workload(), workload("job", "job"), patches={patch.name: patch for patch in patches})
    return compile_app(whole, replace(PROFILE, cloud=cloud, aliases=aliases))


def test_the_namespace_comes_first_and_all_others_depend_on_what_they_name() -> None:
    objects = compiled(
        workload(routes={"r": Route("r", "shop.example")}, scale=Scale(1, 3, cpu=50)),
        resources=(Database("db", "postgres"), Volume("data", "1Gi")),
    )
    names = [logical_name(item.manifest) for item in objects.items]
    assert names[0] == "Namespace/shop"
    for index, item in enumerate(objects.items[1:], start=1):
        assert item.depends_on[0] == "Namespace/shop"
        assert all(names.index(needed) < index for needed in item.depends_on)
    depends = {logical_name(item.manifest): item.depends_on for item in objects.items}
    assert "ServiceAccount/web" in depends["Deployment/web"]
    assert "PersistentVolumeClaim/data-db-0" in depends["StatefulSet/db"]
    assert "Deployment/web" in depends["HorizontalPodAutoscaler/web"]
    assert "Service/web" in depends["Ingress/shop"]
    assert names.index("NetworkPolicy/default-deny") < names.index("Deployment/web")


def test_every_object_says_whose_it_is() -> None:
    objects = compile_app(App("shop", "prod", None, {"web": workload()}), PROFILE)
    assert objects.namespace == "shop-prod"
    for item in objects.items:
        labels = item.manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "portable"
        assert (labels["portable.dev/app"], labels["portable.dev/environment"]) == ("shop", "prod")
        assert labels.get("portable.dev/workload") == item.workload


def test_nothing_is_shared_between_the_objects_of_two_runs() -> None:
    """Whoever changes an object (the engine adds annotations) changes that one only."""

    def wreck(value: Any) -> None:
        if isinstance(value, dict):
            for entry in value.values():
                wreck(entry)
            value.clear()
        elif isinstance(value, list):
            for entry in value:
                wreck(entry)
            value.clear()

    whole = app(workload(), resources=(Database("db", "postgres"), Volume("data", "1Gi")))
    profile = load_provider("aws").profile(Cluster())
    first = compile_app(whole, profile)
    text = render_yaml(first)
    for item in first.items:
        wreck(item.manifest)
    assert render_yaml(compile_app(whole, profile)) == text


def test_patches_have_the_last_word_and_count_for_the_digest() -> None:
    merge = Patch("p", "Deployment/web", merge={"spec": {"template": {"spec": {"priorityClassName": "high"}}}})
    objects = patched(merge)
    assert manifests(objects)["Deployment/web"]["spec"]["template"]["spec"]["priorityClassName"] == "high"
    assert objects.workloads["web"].digest != patched().workloads["web"].digest


def test_a_job_is_patched_by_its_plain_name_and_gets_another_digest() -> None:
    change = {"op": "add", "path": "/spec/template/spec/priorityClassName", "value": "high"}
    job = patched(Patch("p", "Job/job", json=(change,))).workloads["job"].controller.name
    assert job != patched().workloads["job"].controller.name


@pytest.mark.parametrize(("cloud", "applies"), [(None, True), ("test", True), ("testy", True), ("other", False)])
def test_a_patch_is_for_its_cloud(cloud: str | None, applies: bool) -> None:
    objects = patched(Patch("p", "Service/web", cloud=cloud, merge={"metadata": {"annotations": {"a": "b"}}}))
    assert ("annotations" in manifests(objects)["Service/web"]["metadata"]) is applies


def test_all_patches_that_fail_are_named() -> None:
    with pytest.raises(SpecError) as caught:
        patched(
            Patch("missing", "Deployment/wbe", merge={"a": 1}),
            Patch("broken", "Service/web", json=({"op": "remove", "path": "/spec/nothing"},)),
        )
    first, second = caught.value.problems
    assert "Deployment/wbe" in first.message
    assert "Deployment/web" in first.hint
    assert "broken" in second.message


def test_identity_is_bound_as_the_profile_says_or_refused() -> None:
    from dataclasses import replace

    bound = IdentityProfile({"role": "arn:{identity}"}, {"use": "true"})
    found = manifests(compiled(workload(identity="me"), profile=replace(PROFILE, identity=bound)))
    assert found["ServiceAccount/web"]["metadata"]["annotations"] == {"role": "arn:me"}
    assert found["Deployment/web"]["spec"]["template"]["metadata"]["labels"]["use"] == "true"
    with pytest.raises(SpecError) as caught:
        compiled(workload(identity="me"))
    assert caught.value.problems[0].path == "workloads.web.identity"


# YAML


@given(
    st.text()
    | st.from_regex(r"\A[-+.0-9a-fxo_eE:]{1,8}\Z")
    | st.sampled_from(["no", "on", "null", "~", "1e3", "0o17", "", " a ", "a\nb\n"])
)
def test_text_stays_text_in_yaml(text: str) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "X",
        "metadata": {"name": "x"},
        "data": {text: text, "list": [text, 1, True, {}, []]},
    }
    objects = Objects("a", None, "c", "a", (Item(manifest),), {})
    try:
        read = yaml.safe_load(render_yaml(objects))
    except yaml.reader.ReaderError:
        return  # characters that YAML cannot hold at all (lone surrogates and the like)
    assert read == manifest


@pytest.mark.parametrize(
    "text",
    ["1e3", "12e45678", "0o17", "1_000", "0x1F", ".5", "-1", "1:30", "2026-01-01", "no", "n", "Y", "null", "true"],
)
def test_what_another_reader_would_take_for_something_else_is_quoted(text: str) -> None:
    """go-yaml, which kubectl reads with, knows more numbers than PyYAML."""
    manifest = {"kind": "X", "value": text}
    assert f"value: '{text}'" in render_yaml(Objects("a", None, "c", "a", (Item(manifest),), {}))


def test_the_file_names_the_secrets_that_are_not_in_it() -> None:
    objects = compiled(
        workload(routes={"r": Route("r", "shop.example", tls="auto")}),
        resources=(Secret("token", ("a", "b")), Database("db", "postgres")),
    )
    preface = render_yaml(objects).partition("---\n")[0]
    needed, made = preface.split("# Secrets that `portable up` makes")
    assert "token (Opaque): a, b" in needed
    assert "tls-shop.example" not in needed
    assert "db (Opaque): host, name, password" in made
    assert "tls-shop.example (kubernetes.io/tls): tls.crt, tls.key, valid for shop.example" in made


def test_a_database_stands_under_resources() -> None:
    found = compiled(workload(), resources=(Database("db", "postgres"),)).workloads
    assert {each.place for each in found.values()} == {"workloads.web", "resources.db"}


# Plugins


@pytest.mark.parametrize(("name", "alias"), [("aws", "eks"), ("gcp", "gke"), ("azure", "aks")])
def test_cloud_plugins_are_found_by_both_names(name: str, alias: str) -> None:
    provider = load_provider(alias)
    assert (provider.name, provider.profile(Cluster()).cloud) == (name, name)
    assert provider.profile(Cluster()).aliases == provider.aliases == (alias,)


def test_profiles_name_images_by_digest() -> None:
    for name in ("aws", "gcp", "azure"):
        for image in load_provider(name).profile(Cluster()).images.values():
            assert len(image.partition("@sha256:")[2]) == 64


def test_the_compiler_imports_no_engine_no_client_and_no_yaml_until_it_renders() -> None:
    code = """
import json, sys
import portable.compile, portable.compile.app, portable.spec.model
from portable.provider import IdentityProfile, load_provider
for name in ("aws", "gcp", "azure"):
    load_provider(name).profile(portable.spec.model.Cluster())
print(json.dumps([name for name in sys.modules]))
"""
    loaded = set(json.loads(subprocess.check_output([sys.executable, "-c", code], text=True)))
    assert not loaded & {
        "yaml",
        "pulumi",
        "lightkube",
        "rich",
        "httpx2",
        "boto3",
        "google.cloud",
        "azure",
        "jsonschema",
    }
