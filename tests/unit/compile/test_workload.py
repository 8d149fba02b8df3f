"""The defaults of pods and controllers, one rule a test."""

from __future__ import annotations

import pytest

from portable.compile import compile_app
from portable.errors import SpecError
from portable.spec.model import (
    Availability,
    ComputeResources,
    Config,
    Container,
    HttpGet,
    Mount,
    Probe,
    Registry,
    Rollout,
    Route,
    Scale,
    Secret,
    Security,
    Volume,
)
from tests.unit.compile.apps import PROFILE, app, compiled, main_container, manifests, pod, workload

pytestmark = pytest.mark.unit


def test_replicas_come_from_the_profile_unless_the_spec_names_them() -> None:
    found = manifests(compiled(workload(), workload("three", scale=Scale(3, 3)), workload("kept", "stateful")))
    counts = {
        name: found[name]["spec"]["replicas"] for name in ("Deployment/web", "Deployment/three", "StatefulSet/kept")
    }
    assert counts == {"Deployment/web": 2, "Deployment/three": 3, "StatefulSet/kept": 1}


def test_an_autoscaler_owns_the_replicas() -> None:
    objects = compiled(workload(scale=Scale(None, 9, cpu=70)))
    found = manifests(objects)
    assert "replicas" not in found["Deployment/web"]["spec"]
    autoscaler = found["HorizontalPodAutoscaler/web"]["spec"]
    assert (autoscaler["minReplicas"], autoscaler["maxReplicas"]) == (2, 9)
    assert autoscaler["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
    assert (objects.workloads["web"].autoscaled, objects.workloads["web"].scale_min) == (True, 2)


def test_no_pod_goes_before_its_successor_is_ready() -> None:
    spec = manifests(compiled(workload(rollout=Rollout(max_surge=1, timeout=77))))["Deployment/web"]["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert spec["progressDeadlineSeconds"] == 77


def test_a_service_without_probe_is_probed_on_its_first_port() -> None:
    assert main_container(compiled(workload()), "Deployment/web")["readinessProbe"]["tcpSocket"] == {"port": 8080}


def test_a_given_readiness_probe_is_kept_and_a_named_port_resolved() -> None:
    probe = Probe(http=HttpGet("/ready", "http", host="shop.example"), period=7)
    objects = compiled(workload(container=Container("web", "web:1", readiness=probe)))
    assert main_container(objects, "Deployment/web")["readinessProbe"] == {
        "httpGet": {"path": "/ready", "port": 8080, "httpHeaders": [{"name": "Host", "value": "shop.example"}]},
        "periodSeconds": 7,
    }


@pytest.mark.parametrize(
    ("probe", "period"), [(Probe(http=HttpGet("/ready", 8080)), 2), (Probe(tcp=8080), 2), (Probe(exec=("true",)), None)]
)
def test_readiness_is_asked_often_unless_it_takes_a_process(probe: Probe, period: int | None) -> None:
    objects = compiled(workload(container=Container("web", "web:1", readiness=probe)))
    assert main_container(objects, "Deployment/web")["readinessProbe"].get("periodSeconds") == period


def test_a_process_that_no_longer_answers_is_not_waited_for_as_one_that_works() -> None:
    alive = Probe(http=HttpGet("/alive", 8080))
    objects = compiled(workload(container=Container("web", "web:1", liveness=alive)))
    pod = manifests(objects)["Deployment/web"]["spec"]["template"]["spec"]
    drain = main_container(objects, "Deployment/web")["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace = main_container(objects, "Deployment/web")["livenessProbe"]["terminationGracePeriodSeconds"]
    assert drain < grace < pod["terminationGracePeriodSeconds"]


def test_a_sidecar_s_probe_does_not_stand_for_the_main_container() -> None:
    sidecar = Container("proxy", "p:1", before={"web": "healthy"}, readiness=Probe(tcp=9000))
    objects = compiled(workload(containers={"proxy": sidecar, "web": Container("web", "web:1")}))
    assert main_container(objects, "Deployment/web")["readinessProbe"]["tcpSocket"] == {"port": 8080}


def test_the_grace_period_outlives_the_drain() -> None:
    routed = workload(routes={"r": Route("r", "shop.example")})
    objects = compiled(routed, workload("inner"), workload("quiet", "worker"))
    sleeps = {
        name: main_container(objects, f"Deployment/{name}").get("lifecycle", {}).get("preStop", {}).get("sleep")
        for name in ("web", "inner", "quiet")
    }
    assert sleeps == {"web": {"seconds": 20}, "inner": {"seconds": 5}, "quiet": None}
    grace = {name: pod(objects, f"Deployment/{name}")["terminationGracePeriodSeconds"] for name in sleeps}
    assert grace == {"web": 50, "inner": 35, "quiet": 30}


def test_several_pods_get_a_disruption_budget_and_one_does_not() -> None:
    found = manifests(
        compiled(
            workload(),
            workload("one", scale=Scale(1, 1)),
            workload("grows", scale=Scale(1, 4, cpu=50)),
            workload("free", availability=Availability(disruption="none")),
        )
    )
    budgets = {name for name in found if name.startswith("PodDisruptionBudget/")}
    assert budgets == {"PodDisruptionBudget/web", "PodDisruptionBudget/grows"}
    spec = found["PodDisruptionBudget/web"]["spec"]
    assert (spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")


@pytest.mark.parametrize(
    ("spread", "expected"), [("soft", "ScheduleAnyway"), ("hard", "DoNotSchedule"), ("none", None)]
)
def test_pods_are_spread_over_nodes_and_zones(spread: str, expected: str | None) -> None:
    spec = pod(compiled(workload(availability=Availability(spread=spread))), "Deployment/web")  # pyright: ignore[reportArgumentType]
    found = {each["topologyKey"]: each["whenUnsatisfiable"] for each in spec.get("topologySpreadConstraints", [])}
    zone = "topology.kubernetes.io/zone"
    assert found == ({} if expected is None else {"kubernetes.io/hostname": expected, zone: "ScheduleAnyway"})
    assert all(each["matchLabelKeys"] == ["pod-template-hash"] for each in spec.get("topologySpreadConstraints", []))


def test_only_pods_without_a_volume_leave_a_dead_node_early() -> None:
    container = Container("web", "web:1", volumes={"/data": Mount("/data", "data")})
    objects = compiled(
        workload(),
        workload("held", container=container),
        workload("kept", "stateful"),
        resources=(Volume("data", "1Gi"),),
    )
    assert {each["tolerationSeconds"] for each in pod(objects, "Deployment/web")["tolerations"]} == {30}
    assert "tolerations" not in pod(objects, "Deployment/held")
    assert "tolerations" not in pod(objects, "StatefulSet/kept")


def test_requests_are_always_set() -> None:
    limited = Container("web", "web:1", resources=ComputeResources({"cpu": "1"}, {"cpu": "2", "memory": "1Gi"}))
    objects = compiled(workload(container=limited), workload("bare"))
    assert main_container(objects, "Deployment/bare")["resources"] == {"requests": {"cpu": "50m", "memory": "64Mi"}}
    assert main_container(objects, "Deployment/web")["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}


def test_pods_are_restricted_and_have_no_token() -> None:
    objects = compiled(workload(security=Security(writable=("/tmp", "/var/cache/web"))))
    spec, container = pod(objects, "Deployment/web"), main_container(objects, "Deployment/web")
    assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
    assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp", "/var/cache/web"]
    assert all(volume["emptyDir"] == {} for volume in spec["volumes"])
    account = manifests(objects)[f"ServiceAccount/{spec['serviceAccountName']}"]
    assert account["automountServiceAccountToken"] is False


def test_the_namespace_enforces_the_lowest_level_that_its_workloads_need() -> None:
    assert compiled(workload()).security_level == "restricted"
    objects = compiled(workload(), workload("old", security=Security(user=0)))
    labels = manifests(objects)["Namespace/shop"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == objects.security_level == "baseline"
    root = main_container(objects, "Deployment/old")["securityContext"]
    assert "capabilities" not in root
    assert pod(objects, "Deployment/old")["securityContext"]["runAsUser"] == 0
    assert compiled(workload(security=Security(level="privileged"))).security_level == "privileged"


def test_a_port_below_1024_needs_no_capability() -> None:
    from portable.spec.model import Port

    low = compiled(workload(ports={"http": Port("http", 80, 80)}))
    assert pod(low, "Deployment/web")["securityContext"]["sysctls"][0]["name"] == "net.ipv4.ip_unprivileged_port_start"
    assert "sysctls" not in pod(compiled(workload()), "Deployment/web")["securityContext"]


def test_a_writable_root_is_asked_for_by_name() -> None:
    objects = compiled(workload(security=Security(writable=("/",))))
    assert main_container(objects, "Deployment/web")["securityContext"]["readOnlyRootFilesystem"] is False
    assert "volumes" not in pod(objects, "Deployment/web")


def test_volumes_and_secrets_are_readable_by_the_process() -> None:
    container = Container("web", "web:1", volumes={"/s": Mount("/s", "token")})
    objects = compiled(
        workload(container=container, security=Security(user=4711)), workload("bare"), resources=(Secret("token"),)
    )
    context = pod(objects, "Deployment/web")["securityContext"]
    assert (context["fsGroup"], context["fsGroupChangePolicy"], context["runAsUser"]) == (4711, "OnRootMismatch", 4711)
    assert pod(objects, "Deployment/web")["volumes"][0]["secret"] == {"secretName": "token", "defaultMode": 0o440}
    assert "fsGroup" not in pod(objects, "Deployment/bare")["securityContext"]


def test_containers_that_others_wait_for_come_first_and_in_order() -> None:
    containers = {
        "web": Container("web", "web:1"),
        "proxy": Container("proxy", "p:1", before={"web": "started"}),
        "seed": Container("seed", "s:1", before={"web": "complete"}),
        "fetch": Container("fetch", "f:1", before={"seed": "complete"}),
        "health": Container("health", "h:1", before={"web": "healthy"}, readiness=Probe(exec=("ok",))),
    }
    spec = pod(compiled(workload(containers=containers)), "Deployment/web")
    early = {each["name"]: each for each in spec["initContainers"]}
    assert [each["name"] for each in spec["containers"]] == ["web"]
    assert list(early).index("fetch") < list(early).index("seed")
    assert {name for name, each in early.items() if each.get("restartPolicy") == "Always"} == {"proxy", "health"}
    assert early["health"]["startupProbe"]["exec"] == {"command": ["ok"]}
    assert "startupProbe" not in early["proxy"]


def test_a_job_is_named_by_its_digest_and_keeps_its_name_when_nothing_changed() -> None:
    def name(image: str, **digests: dict[str, str]) -> str:
        job = workload("migrate", "job", container=Container("migrate", image, variables={"T": "${resources.t.value}"}))
        objects = compile_app(app(job, resources=(Secret("t"),)), PROFILE, **digests)
        return objects.workloads["migrate"].controller.name

    assert name("tool:1") == name("tool:1")
    assert name("tool:1") != name("tool:2")
    assert name("tool:1") != name("tool:1", image_digests={"tool:1": "sha256:00"})
    # A rotated secret is no reason to run a finished job again.
    assert name("tool:1") == name("tool:1", secret_digests={"t": "00"})


def test_jobs_are_tried_again_but_not_for_ever_and_never_removed_by_a_clock() -> None:
    found = manifests(compiled(workload("migrate", "job"), workload("nightly", "cron", schedule="@daily")))
    job = next(each for name, each in found.items() if name.startswith("Job/migrate-"))
    assert job["spec"]["backoffLimit"] == 2
    actions = {rule["action"]: rule for rule in job["spec"]["podFailurePolicy"]["rules"]}
    assert actions["FailJob"]["onExitCodes"]["values"] == [126, 127], "a command that is not there never will be"
    assert "Ignore" in actions
    assert "ttlSecondsAfterFinished" not in job["spec"]
    cron = found["CronJob/nightly"]["spec"]
    assert (cron["schedule"], cron["timeZone"], cron["concurrencyPolicy"]) == ("@daily", "Etc/UTC", "Forbid")
    assert cron["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_a_deployment_with_a_single_volume_is_recreated_and_plan_says_so() -> None:
    container = Container("web", "web:1", volumes={"/data": Mount("/data", "data")})
    objects = compiled(workload(container=container), resources=(Volume("data", "1Gi"),))
    spec = manifests(objects)["Deployment/web"]["spec"]
    assert (spec["strategy"], spec["replicas"]) == ({"type": "Recreate"}, 1)
    assert any("Recreate" in note and "data" in note for note in objects.notes)


def test_pull_secrets_only_for_images_of_that_registry() -> None:
    inner, outer = Container("web", "ghcr.io/acme/web:1"), Container("tool", "tool:1")
    registries = (Registry("acme", "https://ghcr.io"), Registry("hub", "https://index.docker.io/v1/"))
    objects = compiled(workload(container=inner), workload("tool", container=outer), resources=registries)
    assert pod(objects, "Deployment/web")["imagePullSecrets"] == [{"name": "acme"}]
    assert pod(objects, "Deployment/tool")["imagePullSecrets"] == [{"name": "hub"}]
    assert {each.type for each in objects.expected} == {"kubernetes.io/dockerconfigjson"}


def test_the_digest_follows_the_template_its_config_and_its_secrets() -> None:
    def digest(value: str, **digests: dict[str, str]) -> str:
        container = Container(
            "web", "web:1", variables={"T": "${resources.t.value}"}, volumes={"/c": Mount("/c", "conf")}
        )
        resources = (Secret("t"), Config("conf", {"a": value}))
        return (
            compile_app(app(workload(container=container), resources=resources), PROFILE, **digests)
            .workloads["web"]
            .digest
        )

    assert digest("1") == digest("1")
    assert (
        len(
            {
                digest("1"),
                digest("2"),
                digest("1", secret_digests={"t": "x"}),
                digest("1", image_digests={"web:1": "y"}),
            }
        )
        == 4
    )
    assert digest("1") == digest("1", secret_digests={"other": "x"})


def test_scaling_does_not_change_the_template() -> None:
    few, many = (compiled(workload(scale=Scale(n, n))).workloads["web"].digest for n in (2, 5))
    assert few == many


def test_what_a_kind_cannot_honour_is_refused() -> None:
    probed = Container("seed", "s:1", before={"web": "complete"}, readiness=Probe(tcp=1))
    containers = {"seed": probed, "web": Container("web", "web:1")}
    with pytest.raises(SpecError) as caught:
        compiled(workload("kept", "stateful", rollout=Rollout(max_surge=1)), workload(containers=containers))
    places = {problem.path for problem in caught.value.problems}
    assert places == {"workloads.kept.rollout", "workloads.web.containers.seed"}
