"""Kubernetes manifests become a spec that compiles to the same meaning; what does not is listed with its place."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portable.compile import compile_app
from portable.compile.app import pod_template
from portable.compile.objects import logical_name
from portable.errors import UsageError
from portable.importing.manifests import from_manifests
from portable.importing.write import Imported, check, imported
from portable.spec import load_app
from tests.unit.compile.apps import PROFILE

pytestmark = pytest.mark.unit

# In the manner of well-known demonstration shops: gRPC services, a store with a claim, what leads to them.
SHOP = """\
apiVersion: v1
kind: Namespace
metadata: {name: boutique}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: front, namespace: boutique}
spec:
  replicas: 3
  selector: {matchLabels: {app: front}}
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: front}, annotations: {example.com/team: web}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: server
        image: registry.example.com/front:v1
        ports: [{name: web, containerPort: 8080}]
        env:
        - {name: CART, value: "cart:7070"}
        - {name: URL, value: "http://$(CART)/x"}
        - {name: PRICE, value: "5$ ${each}"}
        - {name: LEVEL, valueFrom: {configMapKeyRef: {name: settings, key: level}}}
        - {name: TOKEN, valueFrom: {secretKeyRef: {name: tokens, key: api.key}}}
        - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
        readinessProbe: {httpGet: {path: /ready, port: web}, initialDelaySeconds: 10}
        livenessProbe: {exec: {command: [/probe, "-addr=:8080"]}}
        resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 200m, memory: 128Mi}}
        volumeMounts: [{name: conf, mountPath: /etc/front}, {name: tmp, mountPath: /scratch}]
      volumes:
      - {name: conf, configMap: {name: settings}}
      - {name: tmp, emptyDir: {}}
      - {name: host, hostPath: {path: /var/run}}
---
apiVersion: v1
kind: Service
metadata: {name: frontend, namespace: boutique}
spec: {type: LoadBalancer, selector: {app: front}, ports: [{name: http, port: 80, targetPort: web}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: all, annotations: {nginx.ingress.kubernetes.io/rewrite-target: /}}
spec:
  ingressClassName: nginx
  rules: [{host: shop.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: frontend, port: {number: 80}}}}]}}]
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: settings}
  data: {level: debug, app.conf: "a=$b\\n"}
- apiVersion: v1
  kind: Secret
  metadata: {name: tokens}
  stringData: {api.key: hunter2}
- apiVersion: autoscaling/v2
  kind: HorizontalPodAutoscaler
  metadata: {name: front}
  spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: front}, minReplicas: 2, maxReplicas: 5,
         metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]}
- apiVersion: apps/v1
  kind: DaemonSet
  metadata: {name: agent}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store}
spec:
  serviceName: store
  selector: {matchLabels: {app: store}}
  template:
    metadata: {labels: {app: store}}
    spec:
      containers: [{name: db, image: "postgres:16", volumeMounts: [{name: data, mountPath: /data}]}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], storageClassName: gp3, resources: {requests: {storage: 5Gi}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {backoffLimit: 1, template: {spec: {restartPolicy: Never, containers: [{name: run, image: "run:1", args: [go]}]}}}}
"""


def read(tmp_path: Path, text: str) -> Imported:
    file = tmp_path / "all.yaml"
    file.write_text(text)
    result = imported(from_manifests([file]), file.name)
    check(result, tmp_path / "portable.yaml")
    return result


def compiled(tmp_path: Path) -> Mapping[str, dict[str, Any]]:
    objects = compile_app(load_app(tmp_path / "portable.yaml").app, PROFILE)
    return {logical_name(item.manifest): item.manifest for item in objects.items}


def containers(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    template = pod_template(manifest)
    assert template is not None
    return template["spec"]["containers"]


def holds(made: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Whether `made` has all that was asked for; what portable adds to a probe says how often, and how it ends a pod."""
    more = made.keys() - asked.keys()
    return {key: made.get(key) for key in asked} == asked and more <= {"periodSeconds", "terminationGracePeriodSeconds"}


def said(result: Imported) -> list[str]:
    return [problem.message for problem in result.findings]


def test_a_shop_keeps_its_meaning(tmp_path: Path) -> None:
    read(tmp_path, SHOP)
    made = compiled(tmp_path)
    (front,) = containers(made["Deployment/frontend"])
    assert front["image"] == "registry.example.com/front:v1"
    env = {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in front["env"]}
    assert env["URL"] == "http://cart:7070/x"
    assert env["PRICE"] == "5$ ${each}"
    assert env["LEVEL"] == "debug"
    assert env["TOKEN"] == {"secretKeyRef": {"name": "tokens", "key": "api.key"}}
    assert holds(front["readinessProbe"], {"httpGet": {"path": "/ready", "port": 8080}, "initialDelaySeconds": 10})
    assert holds(front["livenessProbe"], {"exec": {"command": ["/probe", "-addr=:8080"]}})
    assert front["resources"]["limits"] == {"cpu": "200m", "memory": "128Mi"}
    assert made["Service/frontend"]["spec"]["ports"] == [
        {"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}
    ]
    autoscaler = made["HorizontalPodAutoscaler/frontend"]["spec"]
    assert (autoscaler["minReplicas"], autoscaler["maxReplicas"]) == (2, 5)
    assert made["Ingress/boutique"]["spec"]["rules"][0]["host"] == "shop.example.com"
    files = next(each for name, each in made.items() if name.startswith("ConfigMap/frontend-files"))
    assert "a=$b\n" in files["data"].values()
    claim = next(each for name, each in made.items() if name.startswith("PersistentVolumeClaim/"))
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"
    assert made["CronJob/nightly"]["spec"]["schedule"] == "0 3 * * *"


def test_what_is_not_taken_over_is_listed_with_its_place_and_in_comments(tmp_path: Path) -> None:
    result = read(tmp_path, SHOP)
    messages = said(result)
    for wanted in (
        "Deployment front is called frontend here", "NODE is not taken over", "hostPath is not taken over",
        "the type LoadBalancer is not taken over", "ingressClassName is not taken over", "DaemonSet agent is not taken over",
        "the annotations of the Ingress are not taken over", "terminationGracePeriodSeconds is not taken over",
        "storageClassName is not taken over", "backoffLimit is not taken over", "the values of the secret tokens are not written",
        "concurrencyPolicy: Allow is not taken over",
    ):  # fmt: skip
        assert wanted in messages
    lines = SHOP.splitlines()
    for problem in result.findings:
        assert 0 < problem.line <= len(lines)
        assert f"# all.yaml:{problem.line} {problem.message}" in result.text
    host = next(problem for problem in result.findings if problem.message.startswith("hostPath"))
    assert "hostPath" in lines[host.line - 1]


def test_values_of_secrets_are_nowhere(tmp_path: Path) -> None:
    login = base64.b64encode(b'{"auths": {"registry.example.com": {"auth": "c2VjcmV0LWxvZ2lu"}}}').decode()
    manifest = (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: pull}\ntype: kubernetes.io/dockerconfigjson\n"
        f"data: {{.dockerconfigjson: {login}}}\n---\n"
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {"
        "imagePullSecrets: [{name: pull}], containers: [{name: web, image: 'registry.example.com/web:1'}]}}}\n"
    )
    result = read(tmp_path, f"{SHOP}---\n{manifest}")
    assert "hunter2" not in result.text + str(result.findings)
    assert "c2VjcmV0LWxvZ2lu" not in result.text
    resources = yaml.safe_load(result.text)["resources"]
    assert resources["tokens"] == {"type": "secret", "keys": ["api.key"]}
    assert resources["pull"] == {"type": "registry", "server": "registry.example.com"}


def test_what_portable_renders_can_be_imported(tmp_path: Path) -> None:
    """Our own output is a rich input: databases, init containers, generated configuration."""
    from portable.render import render
    from portable.target import Request

    spec = Path(__file__).parents[3] / "examples" / "shop" / "portable.yaml"
    rendered = render(Request(file=spec, cloud="kind"))
    read(tmp_path, rendered.text())
    made = compiled(tmp_path)
    before = {logical_name(item.manifest): item.manifest for item in rendered.objects.items}
    for name, manifest in before.items():
        if pod_template(manifest) is None or manifest["kind"] == "Job":
            continue
        for old, new in zip(containers(manifest), containers(made[name]), strict=True):
            for key in ("image", "args", "command", "env", "resources"):
                assert new.get(key) == old.get(key), (name, key)
            for key in ("livenessProbe", "readinessProbe"):
                asked = {
                    field: value for field, value in old.get(key, {}).items() if not field.startswith("termination")
                }
                assert holds(new.get(key, {}), asked), (name, key)


def test_what_is_as_portable_has_it_anyway_is_not_listed(tmp_path: Path) -> None:
    manifest = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  template:
    spec:
      serviceAccountName: default
      securityContext: {fsGroup: 1000, runAsGroup: 1000, runAsNonRoot: true, runAsUser: 1000}
      containers:
      - name: web
        image: web:1
        command: [sh, -c, 'echo $(date) ${HOME} $(WHO)']
        env: [{name: WHO, value: me}]
        securityContext: {privileged: false, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
"""
    result = read(tmp_path, manifest)
    assert said(result) == []
    spec = yaml.safe_load(result.text)["workloads"]["web"]
    assert spec["security"] == {"user": 1000}
    (container,) = containers(compiled(tmp_path)["Deployment/web"])
    assert process_sees(container["command"][2]) == "echo $(date) ${HOME} me"
    other = read_again(
        tmp_path, manifest.replace("fsGroup: 1000", "fsGroup: 7").replace("privileged: false", "privileged: true")
    )
    assert sorted(said(other)) == ["fsGroup is not taken over", "privileged is not taken over"]


def test_a_claim_and_a_secret_of_one_name_are_two_resources(tmp_path: Path) -> None:
    manifest = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: postgres}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 2Gi}}}
---
apiVersion: v1
kind: Secret
metadata: {name: postgres}
stringData: {password: hunter2}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: postgres}
spec:
  template:
    spec:
      containers:
      - name: db
        image: postgres:16
        env: [{name: POSTGRES_PASSWORD, valueFrom: {secretKeyRef: {name: postgres, key: password}}}]
        volumeMounts: [{name: data, mountPath: /data}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: postgres}}]
"""
    spec = yaml.safe_load(read(tmp_path, manifest).text)
    assert {body["type"] for body in spec["resources"].values()} == {"volume", "secret"}
    container = spec["workloads"]["postgres"]["containers"]["db"]
    volume, secret = container["volumes"]["/data"]["source"], container["variables"]["POSTGRES_PASSWORD"]
    assert spec["resources"][volume] == {"type": "volume", "size": "2Gi"}
    name = next(name for name, body in spec["resources"].items() if body["type"] == "secret")
    assert secret == f"${{resources.{name}.password}}"


def read_again(tmp_path: Path, text: str) -> Imported:
    (tmp_path / "portable.yaml").unlink()
    return read(tmp_path, text)


def test_nothing_to_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing that portable could run"):
        read(tmp_path, "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n")
    (tmp_path / "none.yaml").write_text("a: b\n")
    with pytest.raises(UsageError, match="no Kubernetes objects"):
        from_manifests([tmp_path / "none.yaml"])


_texts = st.text(st.sampled_from("abc $(){}\"':\\%#\n"), max_size=8)
_names = st.sampled_from(["A", "B_C", "D.E", "F-G"])
_probe = st.fixed_dictionaries(
    {"httpGet": st.fixed_dictionaries({"path": st.just("/x"), "port": st.integers(1, 65535)})},
    optional={"periodSeconds": st.integers(1, 60), "initialDelaySeconds": st.integers(0, 60)},
) | st.fixed_dictionaries({"exec": st.fixed_dictionaries({"command": st.lists(_texts, min_size=1, max_size=3)})})
_container = st.fixed_dictionaries(
    {"name": st.just("main"), "image": st.sampled_from(["a:1", "r.example.com/b/c:v2", "d@sha256:" + "0" * 64])},
    optional={
        "env": st.dictionaries(_names, _texts).map(lambda d: [{"name": k, "value": v} for k, v in d.items()]),
        "args": st.lists(_texts.map(lambda text: text.replace("$", "")), max_size=3),
        "readinessProbe": _probe,
        "livenessProbe": _probe,
        "resources": st.just({"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}}),
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(container=_container, replicas=st.integers(1, 4), port=st.integers(1, 65535))
def test_images_variables_probes_ports_and_amounts_survive(
    tmp_path: Path, container: dict[str, Any], replicas: int, port: int
) -> None:
    labels = {"app": "web"}
    manifests = [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
         "spec": {"replicas": replicas, "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
         "spec": {"selector": labels, "ports": [{"port": port, "targetPort": 8080}]}},
    ]  # fmt: skip
    (tmp_path / "portable.yaml").unlink(missing_ok=True)
    read(tmp_path, yaml.safe_dump_all(manifests))
    made = compiled(tmp_path)
    (found,) = containers(made["Deployment/web"])
    assert found["image"] == container["image"]
    assert {each["name"]: process_sees(each["value"]) for each in found.get("env", ())} == {
        each["name"]: process_sees(each["value"]) for each in container.get("env", ())
    }
    assert found.get("args", []) == container.get("args", [])
    for key in ("livenessProbe", "readinessProbe"):
        if key in container:
            assert holds(found[key], container[key])
    if "resources" in container:
        assert found["resources"] == container["resources"]
    assert made["Deployment/web"]["spec"]["replicas"] == replicas
    assert [each["port"] for each in made["Service/web"]["spec"]["ports"]] == [port]


def process_sees(text: str) -> str:
    """What Kubernetes hands to the process: third_party/forked/golang/expansion, with no variable of such a name."""
    return re.sub(r"\$\$|\$\([^)]*\)", lambda match: "$" if match[0] == "$$" else match[0], text)
