"""Specs for tests, and what loading them says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from portable.errors import Problem, SpecError
from portable.spec import Loaded, load_app

HEAD = "apiVersion: portable/v1\nkind: App\nmetadata: {name: shop}\n"

FULL = (
    HEAD
    + """\
workloads:
  web:
    containers:
      main:
        image: ghcr.io/acme/web:1.0
        command: [/app/web]
        args: [--port, "8080"]
        variables:
          API: http://${workloads.api.host}:${workloads.api.port.http}
          PRICE: 5$$
        files:
          /etc/app.conf: {content: "name = ${metadata.name}", mode: "0644"}
          /etc/blob: {binaryContent: ADBgwpA=}
        volumes:
          /certs: {source: "${resources.certificate}", readOnly: true}
        resources: {requests: {cpu: 0.1, memory: 64Mi}, limits: {memory: 128Mi}}
        livenessProbe: {httpGet: {path: /live, port: http, httpHeaders: [{name: X-A, value: b}]}, periodSeconds: 5}
        readinessProbe: {exec: {command: [/ready]}, successThreshold: 2}
        startupProbe: {tcpSocket: {port: 8080}, failureThreshold: 30}
      migrate:
        image: ghcr.io/acme/web:1.0
        before: {main: {ready: complete}}
    service: {ports: {http: {port: 80, targetPort: 8080}, stats: {port: 9000, protocol: UDP}}}
    routes:
      public: {host: shop.example.com, path: /, port: http, tls: certificate}
    scale: {min: 2, max: 5, cpu: 70}
    rollout: {maxUnavailable: 25%, maxSurge: 1, timeout: 1h2m3s, onFailure: stop}
    availability: {spread: hard, disruption: none}
    identity: reader
    security: {user: 1000, writable: [/tmp], level: restricted, egress: [api, db, 10.0.0.0/8]}
    after: {api: ready, setup: complete}
    annotations: {example.com/team: shop}
  api:
    containers:
      main:
        image: ghcr.io/acme/api@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        variables: {DB: "${resources.db.url}", CACHE: "${resources.cache.host}", LEVEL: "${resources.settings.LOG_LEVEL}", T: "Bearer ${resources.token.value}"}
    service: {ports: {http: {port: 80}}}
    scale: {min: 3}
  store: {containers: {main: {image: "a:1", volumes: {/data: {source: data, path: x}}}}}
  queue: {containers: {main: {image: "a:1"}}}
  setup: {kind: job, containers: {main: {image: "a:1"}}}
  nightly: {schedule: "0 3 * * sun", containers: {main: {image: "a:1"}}}
resources:
  db: {type: postgres, version: "17", size: 10Gi}
  cache: {type: redis}
  data: {type: volume, size: 5Gi}
  certificate: {type: secret, keys: [tls.crt, tls.key]}
  token: {type: secret}
  settings: {type: config, data: {LOG_LEVEL: info}}
  private: {type: registry, server: registry.example.com}
cluster: {name: main, version: "1.33", nodes: {min: 1, max: 3, cpu: 4, memory: 16Gi, spot: true}}
environments:
  prod: {cloud: gcp, workloads: {web: {scale: {min: 3}, identity: null}}, cluster: {nodes: {min: 3}}}
  dev: {}
patches:
  team: {cloud: aws, target: Service/web, merge: {metadata: {labels: {team: shop}}}}
"""
)


def load(folder: Path, text: str | bytes, environment: str | None = None, **rest: Any) -> Loaded:
    """Writes `text` as portable.yaml and loads it."""
    path = folder / "portable.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_app(path, environment=environment, **rest)


def problems(folder: Path, text: str | bytes, environment: str | None = None) -> tuple[Problem, ...]:
    """Every problem that loading `text` gives, warnings included."""
    try:
        return load(folder, text, environment).warnings
    except SpecError as error:
        return error.problems


def with_workload(body: str, more: str = "") -> str:
    """A spec whose one workload, web, has `body` (flow or block YAML without indentation)."""
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    return f"{HEAD}workloads:\n  web:\n{indented}{more}"


def dump(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False)
