"""`lint` finds what ties a spec to one cloud, where it stands, and leaves alone what is neutral or in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from portable.errors import SpecError
from portable.lint import Report, lint
from portable.provider import ForeignMarks, load_provider

pytestmark = pytest.mark.unit

HEAD = "apiVersion: portable/v1\nkind: App\nmetadata: {name: shop}\n"
ROOT = Path(__file__).parents[3]


def spec(image: str = "a/b:1", variable: str = "x", more: str = "", rest: str = "") -> str:
    container = f"{{main: {{image: '{image}', variables: {{V: '{variable}'}}}}}}"
    return f"{HEAD}workloads:\n  web: {{containers: {container}{more}}}\n{rest}"


def look(tmp_path: Path, text: str) -> Report:
    (tmp_path / "portable.yaml").write_text(text)
    return lint(tmp_path / "portable.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (spec(image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1"), "an image in an account's ECR"),
        (spec(image="europe-west1-docker.pkg.dev/acme/shop/web:1"), "an image in Google's registry"),
        (spec(image="acme.azurecr.io/shop:1"), "an image in Azure's registry"),
        (spec(variable="arn:aws:s3:::bucket"), "an ARN"),
        (spec(variable="http://a1.elb.eu-west-1.amazonaws.com"), "a host of AWS"),
        (spec(variable="https://storage.googleapis.com/x"), "a host of Google Cloud"),
        (spec(variable="acme.blob.core.windows.net"), "a host of Azure"),
        (spec(variable="m5.large"), "an instance type of EC2"),
        (spec(variable="n2-standard-4"), "a machine type of Google Cloud"),
        (spec(variable="Standard_D4s_v5"), "a VM size of Azure"),
        (spec(variable="gp3"), "a storage class of EKS"),
        (spec(variable="premium-rwo"), "a storage class of GKE"),
        (spec(variable="managed-csi"), "a storage class of AKS"),
        (spec(variable="eu-central-1"), "a region of AWS"),
        (spec(variable="europe-west1"), "a region or zone of Google Cloud"),
        (spec(more=", annotations: {eks.amazonaws.com/role-arn: x}"), "an annotation or label of EKS"),
        (
            spec(more=", annotations: {service.beta.kubernetes.io/aws-load-balancer-type: x}"),
            "an annotation or label of EKS",
        ),
        (spec(more=", annotations: {networking.gke.io/x: y}"), "an annotation or label of GKE"),
        (spec(more=", annotations: {azure.workload.identity/use: 'true'}"), "an annotation or label of AKS"),
        (spec(more=", identity: 'app@acme.iam.gserviceaccount.com'"), "a Google service account"),
    ],
)
def test_what_belongs_to_a_cloud_is_an_error_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    report = look(tmp_path, text)
    (found,) = [each for each in report.problems if each.severity == "error"]
    assert words in found.message
    assert found.line == 5
    assert found.path.startswith("workloads.web")
    assert found.expected


@pytest.mark.parametrize(
    "text",
    [
        "postgres://db:5432",
        "https://api.example.com/v1",
        "standard",
        "default",
        "us",
        "large",
        "arn",
        "tiny.small",
        "a-b-1",
    ],
)
def test_neutral_texts_are_left_alone(tmp_path: Path, text: str) -> None:
    assert look(tmp_path, spec(variable=text)).problems == ()


def test_patches_may_say_anything_about_their_cloud(tmp_path: Path) -> None:
    patch = "{target: Service/web, merge: {metadata: {annotations: {eks.amazonaws.com/x: y}}}%s}"
    named = spec(rest="patches: {a: " + patch % ", cloud: aws" + "}\n")
    assert look(tmp_path, named).problems == ()
    (found,) = look(tmp_path, spec(rest="patches: {a: " + patch % "" + "}\n")).problems
    assert (found.severity, found.path) == ("warning", "patches.a.merge.metadata.annotations.eks.amazonaws.com/x")


def test_an_environment_of_the_cloud_is_the_place_for_its_images_identities_and_regions(tmp_path: Path) -> None:
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1"
    overlay = f"workloads: {{web: {{identity: 'arn:aws:iam::1:role/x', containers: {{main: {{image: '{image}'}}}}}}}}"
    environment = "environments: {prod: {cloud: %s, cluster: {region: eu-west-1}, " + overlay + "}}\n"
    assert look(tmp_path, spec(rest=environment % "aws")).problems == ()
    assert look(tmp_path, spec(rest=environment % "eks")).problems == ()
    assert (
        len([each for each in look(tmp_path, spec(rest=environment % "gcp")).problems if each.severity == "error"]) == 3
    )
    annotated = "environments: {prod: {cloud: aws, workloads: {web: {annotations: {eks.amazonaws.com/x: y}}}}}\n"
    assert look(tmp_path, spec(rest=annotated)).errors == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (spec(image="web"), "another image tomorrow"),
        (spec(image="a/b:latest"), "another image tomorrow"),
        (spec(image="localhost:5000/web"), "another image tomorrow"),
        (spec(variable="http://host.docker.internal:1"), "the machine that Docker runs on"),
        (spec(variable="http://169.254.169.254/latest"), "asks the cloud that the node runs on"),
        (spec(variable="db.shop.svc.cluster.local"), "has the namespace or the cluster's domain in it"),
        (spec(variable="10.1.2.3:80"), "an address of one network"),
        (spec(more=", identity: writer"), "an identity means something else on each cloud"),
        (spec(rest="cluster: {region: here}\n"), "a region is one cloud's word"),
        (spec(more=", security: {level: privileged}"), "not every cloud lets a pod be"),
        (
            spec(rest="patches: {p: {target: Deployment/web, merge: {spec: {hostPath: {path: /x}}}}}\n"),
            "a path of the node ties the pod to it",
        ),
    ],
)
def test_smells_are_warnings(tmp_path: Path, text: str, words: str) -> None:
    report = look(tmp_path, text)
    assert report.errors == 0
    assert [each for each in report.problems if words in each.message and each.severity == "warning"]


def test_files_that_the_spec_brings_are_read(tmp_path: Path) -> None:
    (tmp_path / "app.conf").write_text("a = 1\nbucket = arn:aws:s3:::shop\nstorage = gp3\n")
    container = "{main: {image: 'a/b:1', files: {/etc/app.conf: {source: ./app.conf}}}}"
    (found,) = look(tmp_path, f"{HEAD}workloads:\n  web: {{containers: {container}}}\n").problems
    assert (found.severity, found.line) == ("error", 5)
    assert found.message == "line 2 of ./app.conf has an ARN"


def test_pinned_and_built_images_are_fine(tmp_path: Path) -> None:
    assert look(tmp_path, spec(image="localhost:5000/web:1")).problems == ()
    assert look(tmp_path, spec(image="web@sha256:" + "0" * 64)).problems == ()


def test_a_spec_that_is_wrong_everywhere_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(SpecError):
        look(tmp_path, HEAD)


def test_the_examples_name_no_cloud() -> None:
    for file in (ROOT / "examples").rglob("portable.yaml"):
        assert lint(file).errors == 0


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_a_plugin_knows_its_own_marks(cloud: str) -> None:
    provider = load_provider(cloud)
    assert isinstance(provider, ForeignMarks)
    assert all(mark.what and mark.instead for mark in provider.foreign_marks)
