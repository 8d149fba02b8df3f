"""Specs of any size, as a person would write them: 19 lines for each workload."""

from __future__ import annotations

_HEAD = """apiVersion: portable/v1
kind: App
metadata:
  name: {name}
resources:
  db: {{type: postgres}}
workloads:
"""

_SERVICE = """  {name}:
    containers:
      main:
        image: registry.example.com/team/{name}:1.4.2
        variables:
          LOG_LEVEL: info
          DATABASE_HOST: ${{resources.db.host}}
          DATABASE_PASSWORD: ${{resources.db.password}}
          PEER_URL: http://{peer}:8080
        resources:
          requests: {{cpu: 50m, memory: 64Mi}}
        livenessProbe:
          httpGet: {{path: /healthz, port: 8080}}
    service:
      ports:
        http: {{port: 8080}}
    scale: {{min: 2, max: 6, cpu: 70}}
    routes:
      main: {{host: {name}.example.com, port: http, tls: auto}}
"""

_RUNNABLE = """  {name}:
    containers:
      main:
        image: {image}
        variables:
          GREETING: Hello
        files:
          /etc/app/settings.toml:
            content: |
              name = "{name}"
              level = "info"
        resources:
          requests: {{cpu: 5m, memory: 16Mi}}
        readinessProbe:
          httpGet: {{path: /healthz, port: 8080}}
          periodSeconds: 1
    service:
      ports:
        http: {{port: 80, targetPort: 8080}}
"""


def spec(workloads: int, *, name: str = "large") -> str:
    """An app of `workloads` autoscaled services with routes and one database, each calling its neighbour."""
    names = [f"service-{number:04}" for number in range(workloads)]
    bodies = (_SERVICE.format(name=this, peer=names[number - 1]) for number, this in enumerate(names))
    return _HEAD.format(name=name) + "".join(bodies)


def runnable(workloads: int, *, name: str, image: str) -> str:
    """An app that runs for real: `workloads` small services with a config file each, no database."""
    head = f"apiVersion: portable/v1\nkind: App\nmetadata:\n  name: {name}\nworkloads:\n"
    return head + "".join(_RUNNABLE.format(name=f"service-{number:02}", image=image) for number in range(workloads))
