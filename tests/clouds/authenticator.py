"""The authenticator that Amazon's API servers ask who sent a token: sigs.k8s.io/aws-iam-authenticator, built as it is.

It redeems a token at the Security Token Service, and takes none but Amazon's own hosts for that. So it is given a proxy
(HTTPS_PROXY) which is those hosts, with a certificate that it is told to trust (SSL_CERT_FILE): what arrives there is checked to be signed
with the caller's key, as the service does, and passed on to the stand-in. The authenticator maps every caller of the account to
its ARN; which groups that ARN is in, the cluster's access entries say, as on EKS.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode, urlsplit
from xml.etree import ElementTree

from portable.events import nowhere
from portable.tools import GoBuild, go_build
from tests.certificates import self_signed
from tests.clouds.token_webhook import Judge, User

AUTHENTICATOR = GoBuild(
    name="aws-iam-authenticator",
    module=Path(__file__).parent / "authenticator_module",
    packages={"aws-iam-authenticator": "sigs.k8s.io/aws-iam-authenticator/cmd/aws-iam-authenticator"},
    usual=120,
)
TOKEN = "k8s-aws-v1."
_START_SECONDS = 60.0


def program() -> Path:
    """Built where it is not in the tool cache yet."""
    return go_build.build(AUTHENTICATOR, nowhere) / "aws-iam-authenticator"


@contextmanager
def authenticator(
    folder: Path,
    *,
    cluster: str,
    region: str,
    account: str,
    stand_in: str,
    keys: Mapping[str, str],
    groups: Callable[[str], tuple[str, ...] | None],
) -> Iterator[Judge]:
    """Who sent a token to `cluster`. `stand_in`: URL of the service that redeems it; `keys`: secret access keys by their id;
    `groups`: those of an ARN, None where the cluster has no entry of it."""
    certificate, key = self_signed(folder, [f"sts.{region}.amazonaws.com"])
    configuration = folder / "authenticator.json"
    configuration.write_text(json.dumps({"clusterID": cluster, "server": {"mapAccounts": [account]}}))
    port = _free_port()
    arguments = [
        "server",
        f"--config={configuration}",
        "--address=127.0.0.1",
        f"--port={port}",
        f"--state-dir={folder}",
        f"--generate-kubeconfig={folder / 'authenticator-kubeconfig'}",
    ]
    with _amazons_hosts(certificate, key, stand_in, keys) as proxy, (folder / "authenticator.log").open("wb") as log:
        environment = {
            "HTTPS_PROXY": proxy,
            "SSL_CERT_FILE": str(certificate),
            # it would look for its region at an address of Amazon's machines
            "AWS_EC2_METADATA_DISABLED": "true",
            "PATH": os.environ["PATH"],
        }
        process = subprocess.Popen(
            [program(), *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            ask = _asker(port, folder / "cert.pem", process)
            yield lambda token: _judge(token, ask, groups)
        finally:
            process.kill()  # on SIGTERM it goes on serving
            process.wait()


def _judge(
    token: str, ask: Callable[[str], str | None], groups: Callable[[str], tuple[str, ...] | None]
) -> User | None:
    if not token.startswith(TOKEN):
        return None
    arn = ask(token)
    found = groups(arn) if arn else None
    return User(arn, found) if arn and found is not None else None


def _asker(port: int, trusted: Path, process: subprocess.Popen[bytes]) -> Callable[[str], str | None]:
    """A function from a token to the ARN that the authenticator finds; it answers once that is up."""
    end = time.monotonic() + _START_SECONDS
    while True:
        assert process.poll() is None, "the authenticator ended: see its log"
        assert time.monotonic() < end, f"the authenticator did not start within {_START_SECONDS:.0f} s"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.05)
    context = ssl.create_default_context(cafile=str(trusted))

    def ask(token: str) -> str | None:
        body = json.dumps(
            {"apiVersion": "authentication.k8s.io/v1beta1", "kind": "TokenReview", "spec": {"token": token}}
        )
        request = urllib.request.Request(f"https://127.0.0.1:{port}/authenticate", body.encode())
        try:
            with urllib.request.urlopen(request, context=context, timeout=20) as reply:
                return json.load(reply)["status"]["user"]["username"]
        except HTTPError as error:
            if error.code != 403:
                raise
            return None

    return ask


@contextmanager
def _amazons_hosts(certificate: Path, key: Path, stand_in: str, keys: Mapping[str, str]) -> Iterator[str]:
    """URL of an HTTP proxy that leads every host to `stand_in`, over TLS with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            self.send_response_only(200)
            self.end_headers()
            self.connection = context.wrap_socket(self.connection, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
            self.handle_one_request()
            self.close_connection = True

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, body = _redeem(stand_in, self.path, headers, keys)
            self.send_response_only(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _redeem(stand_in: str, target: str, headers: Mapping[str, str], keys: Mapping[str, str]) -> tuple[int, bytes]:
    """The stand-in's answer as the JSON that the authenticator asks for: moto knows STS's XML only, and no presigned requests."""
    if not is_signed(target, headers, keys):
        return 403, b"SignatureDoesNotMatch"
    query = dict(parse_qsl(urlsplit(target).query))
    asked = urlencode({name: value for name, value in query.items() if not name.startswith("X-Amz-")})
    fields = ("Credential", "SignedHeaders", "Signature")
    signed = ", ".join(f"{name}={query[f'X-Amz-{name}']}" for name in fields)
    connection = http.client.HTTPConnection(urlsplit(stand_in).netloc, timeout=20)
    try:
        named = {"Host": headers["host"], "Authorization": f"AWS4-HMAC-SHA256 {signed}"}
        connection.request("GET", f"/?{asked}", headers=named)
        reply = connection.getresponse()
        body = reply.read()
    finally:
        connection.close()
    if reply.status != 200:
        return reply.status, body
    found = {entry.tag.rpartition("}")[2]: entry.text for entry in ElementTree.fromstring(body)[0]}
    return 200, json.dumps({"GetCallerIdentityResponse": {"GetCallerIdentityResult": found}}).encode()


def is_signed(target: str, headers: Mapping[str, str], keys: Mapping[str, str]) -> bool:
    """Whether a presigned GET of `target` (path and query) was signed with one of `keys` for just these headers."""
    from botocore.auth import SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    query = dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))
    claimed = query.pop("X-Amz-Signature", "")
    access_key, _, region, service, _ = query.get("X-Amz-Credential", "////").split("/")
    if access_key not in keys:
        return False
    signed = {name: headers.get(name, "") for name in query["X-Amz-SignedHeaders"].split(";")}
    request = AWSRequest("GET", f"https://{headers['host']}/", headers=signed, params=query)
    request.context["timestamp"] = query["X-Amz-Date"]
    auth = SigV4QueryAuth(Credentials(access_key, keys[access_key]), service, region)
    return claimed == auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]
