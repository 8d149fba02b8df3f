"""Ports on which widely used images listen, for files that leave them unsaid."""

from __future__ import annotations

# image (last part of its path) -> the port that its documentation names
_PORTS = {
    "postgres": 5432, "postgresql": 5432, "postgis": 5432, "timescaledb": 5432, "mysql": 3306, "mariadb": 3306, "percona": 3306,
    "redis": 6379, "valkey": 6379, "keydb": 6379, "mongo": 27017, "mongodb": 27017, "memcached": 11211, "rabbitmq": 5672,
    "nats": 4222, "elasticsearch": 9200, "opensearch": 9200, "kafka": 9092, "zookeeper": 2181, "minio": 9000,
    "nginx": 80, "httpd": 80, "caddy": 80, "traefik": 80, "wordpress": 80, "mailhog": 1025, "mailpit": 1025, "clickhouse": 8123,
}  # fmt: skip
# No HTTP is spoken there, so no route can lead to them.
NOT_HTTP = frozenset(
    {21, 22, 25, 53, 389, 465, 587, 1025, 1433, 1521, 1883, 2181, 3306, 4222, 5432, 5672, 6379, 9092, 11211, 27017}
)


def usual_port(image: str) -> int | None:
    """The port of a widely used image; None for others."""
    return _PORTS.get(image.rpartition("/")[2].partition("@")[0].partition(":")[0])
