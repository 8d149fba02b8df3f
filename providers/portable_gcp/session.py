"""Google's APIs: credentials, clients, retries, and errors in words.

Clusters go through google-cloud-container on its REST transport, everything else through google.auth's session: the
same credentials, retries and errors for both. Endpoints can be moved with gcloud's own variables
(CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE, ...): https://cloud.google.com/sdk/gcloud/reference/config/set#api_endpoint_overrides
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from portable.errors import ProviderError
from portable.provider import Token
from portable_gcp import calls

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
CHAIN = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "gcloud's application default credentials",
    "the machine's or pod's service account (metadata server)",
)
LOGIN = "`gcloud auth application-default login`, or point GOOGLE_APPLICATION_CREDENTIALS at a credentials file"
REQUEST_SECONDS = 60.0
# Until Google has answered once it is rather this machine's network than a moment's trouble.
FIRST_TRIES = 4
_NO_PLACE = re.compile(r"denied on 'locations/([\w-]+)' \(or it may not exist\)")
# A person's own login belongs to no project, and Google then says SERVICE_DISABLED or nothing about why:
# https://cloud.google.com/docs/authentication/adc-troubleshooting/user-creds
_NO_QUOTA_PROJECT = ("requires a quota project", "end user credentials from the google cloud sdk")

Answer = TypeVar("Answer")

# What it has to say reaches a person as an error of ours; its own lines would only stand between.
logging.getLogger("google").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Pace:
    """How long waits are, in seconds: between polls, and before a refused call is tried again (doubling up to `most`)."""

    poll: float = 10.0
    retry: float = 1.0
    most: float = 20.0
    patience: float = 120.0
    sleep: Callable[[float], None] = time.sleep


class Refused(ProviderError):
    """A call that was answered with no. `status`: HTTP's; `reason`: Google's word for it ("FAILED_PRECONDITION", "notFound")."""

    def __init__(self, message: str, *, status: int, reason: str, said: str, detail: str = "", fix: str = "") -> None:
        super().__init__(message, detail=detail, fix=fix)
        self.status = status
        self.reason = reason
        self.said = said


class Google:
    """One account's APIs. Nothing is read or imported before the first call. Raises Refused and ProviderError."""

    def __init__(self, pace: Pace = Pace()) -> None:
        self.pace = pace
        self._answered = False
        self._missed = 0

    # -- credentials -----------------------------------------------------------------------------------------------

    @property
    def project(self) -> str:
        """The one that the credentials belong to; empty where they name none."""
        return self._default[1] or ""

    @property
    def who(self) -> str:
        """Whose credentials these are, for people."""
        return (
            getattr(self._default[0], "service_account_email", "")
            or type(self._default[0]).__module__.rpartition(".")[2]
        )

    def token(self) -> Token:
        from datetime import UTC

        credentials = self._default[0]
        self._guarded("a token", lambda: credentials.refresh(self._transport))
        ends = credentials.expiry.replace(tzinfo=UTC).timestamp() if credentials.expiry else time.time() + 300
        return Token(str(credentials.token), ends)

    # -- calls -----------------------------------------------------------------------------------------------------

    def container(self, call: str, **request: Any) -> Any:
        """The container client's reply to `request`."""
        method = getattr(self._clusters, calls.known(call).method)
        return self._guarded(call, lambda: method(request=request, retry=self._retry, timeout=REQUEST_SECONDS))

    def rest(
        self, call: str, body: Any = None, query: Mapping[str, Any] | None = None, /, **path: str
    ) -> dict[str, Any]:
        """The reply to one REST call; `path` fills the words in braces."""
        known = calls.known(call)
        url = endpoint(known.service) + known.path.format(**path)

        def send() -> dict[str, Any]:
            from google.api_core import exceptions

            reply = self._session.request(known.method, url, json=body, params=query, timeout=REQUEST_SECONDS)
            if reply.status_code >= 400:
                raise exceptions.from_http_response(reply)
            return reply.json() if reply.content else {}

        return self._guarded(call, lambda: self._retry(send)())

    # -- plumbing --------------------------------------------------------------------------------------------------

    @cached_property
    def _default(self) -> tuple[Any, str | None]:
        try:
            import google.auth
            from google.auth import exceptions
        except ImportError as error:
            raise _not_installed(error) from None
        try:
            return google.auth.default(scopes=[SCOPE])
        except exceptions.DefaultCredentialsError as error:
            raise ProviderError(
                "no Google credentials were found",
                detail=f"tried: {'; '.join(CHAIN)}. {_first_line(error)}",
                fix=LOGIN,
            ) from None

    @cached_property
    def _transport(self) -> Any:
        from google.auth.transport.requests import Request

        return Request()

    @cached_property
    def _session(self) -> Any:
        from google.auth.transport.requests import AuthorizedSession

        return AuthorizedSession(self._default[0])

    @cached_property
    def _clusters(self) -> Any:
        try:
            from google.cloud.container_v1.services.cluster_manager import ClusterManagerClient
        except ImportError as error:
            raise _not_installed(error) from None
        return ClusterManagerClient(
            credentials=self._default[0],
            transport="rest",
            client_options={"api_endpoint": endpoint("container")},
        )

    @cached_property
    def _retry(self) -> Any:
        """The SDK's own, for writes too: what a lost reply made is found by whoever is then told that it exists."""
        import requests
        from google.api_core import exceptions, retry
        from google.auth.exceptions import TransportError

        def passing(error: Exception) -> bool:
            if not self._answered and isinstance(error, requests.ConnectionError | TransportError):
                self._missed += 1
                if self._missed >= FIRST_TRIES:
                    return False
            exhausted = isinstance(error, exceptions.TooManyRequests) and "nsufficient" in str(error)
            gateway = isinstance(error, exceptions.BadGateway | exceptions.GatewayTimeout)
            return (retry.if_transient_error(error) or gateway) and not exhausted

        pace = self.pace
        return retry.Retry(
            predicate=passing, initial=pace.retry, maximum=pace.most, multiplier=2.0, timeout=pace.patience
        )

    def _guarded(self, call: str, send: Callable[[], Answer]) -> Answer:
        import requests
        from google.api_core import exceptions
        from google.auth import exceptions as auth

        try:
            answer = send()
            self._answered = True
            return answer
        except exceptions.GoogleAPICallError as error:
            self._answered = True
            raise _refused(call, error) from None
        except exceptions.RetryError as error:
            cause = error.cause
            if isinstance(cause, exceptions.GoogleAPICallError):
                raise _refused(call, cause) from None
            raise _unreachable(call, cause or error) from None
        except (auth.TransportError, requests.RequestException) as error:
            raise _unreachable(call, error) from None
        except auth.GoogleAuthError as error:
            raise ProviderError(
                "Google does not take these credentials any more",
                detail=f"{_first_line(error)}. They came from: {'; '.join(CHAIN)} (the first that there is)",
                fix=LOGIN,
            ) from None


def word(value: Any) -> str:
    """An enum's word. One that this version of the SDK does not know arrives as a number."""
    return getattr(value, "name", str(value))


def endpoint(service: str) -> str:
    """Where a service is asked, without a slash at the end."""
    moved = os.environ.get(f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{service.upper()}", "").rstrip("/")
    return moved.removesuffix("/compute/v1") or f"https://{service}.googleapis.com"


def _not_installed(error: ImportError) -> ProviderError:
    return ProviderError("Google's SDK is not installed", detail=str(error), fix="pip install 'portable-deploy[gcp]'")


def _unreachable(call: str, error: BaseException) -> ProviderError:
    return ProviderError(
        f"Google's API could not be reached ({call})",
        detail=_plainly(error),
        fix="look at the network (a proxy?), then run the same command again: it carries on",
    )


def _refused(call: str, error: Any) -> Refused:
    """Google's refusal, with what to do about the kinds that a person can do something about."""
    # the SDK's own message begins with the request
    said, status = str(_body(error).get("message") or error.message), int(error.code or 0)
    reason = _reason(error)
    message, fix = f"Google refused {call}: {said}", ""
    if status == 401:
        message = "Google does not take these credentials"
        fix = LOGIN
    elif status == 403 and any(words in said.lower() for words in _NO_QUOTA_PROJECT):
        message = "these credentials name no project whose quota Google counts the calls against"
        fix = "`gcloud auth application-default set-quota-project PROJECT`"
    elif reason == "SERVICE_DISABLED" or (status == 403 and "has not been used in project" in said):
        service = (error.metadata or {}).get("service") or f"{calls.known(call).service}.googleapis.com"
        message = f"the API {service} is not enabled in this project"
        fix = f"`gcloud services enable {service}`"
    elif status == 403 and (place := _NO_PLACE.search(said)):
        message = f"Google Cloud has no region {place[1]}, or these credentials may not use it"
        fix = "correct cluster.region (`gcloud compute regions list` shows them)"
    elif status == 403 and "quota" not in said.lower():
        lacking = _permissions(call, said, error)
        message = f"these credentials may not do {call}: {lacking} is missing"
        fix = "`portable providers show gcp` prints the role that is needed; give it to the account and try again"
    elif "quota" in said.lower() or "nsufficient" in said:
        fix = "ask for more quota (https://console.cloud.google.com/iam-admin/quotas), or use another region or fewer nodes"
    return Refused(message, status=status, reason=reason, said=said, detail="" if said in message else said, fix=fix)


def _reason(error: Any) -> str:
    """The most exact word of the answer."""
    if error.reason:
        return str(error.reason)
    body = _body(error)
    first = (body.get("errors") or [{}])[0]
    return str(body.get("status") or first.get("reason") or "")


def _body(error: Any) -> dict[str, Any]:
    try:
        return error.response.json()["error"]
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}


def _permissions(call: str, said: str, error: Any) -> str:
    named = (error.metadata or {}).get("permission") if error.reason else None
    found = [named] if named else re.findall(r"[a-z]+\.[a-zA-Z]+\.[a-zA-Z]+(?=['\"]? permission|['\"]? denied)", said)
    found = found or re.findall(r"required \"([\w.]+)\" permission", said, re.IGNORECASE)
    return " or ".join(found or calls.known(call).permissions or ("a permission",))


def _plainly(error: BaseException) -> str:
    """Without what urllib3 puts around it: "HTTPSConnectionPool(...): ... (Caused by X("HTTPSConnection(...): WHY"))"."""
    text = _first_line(error)
    return text.partition("(Caused by ")[2].partition("): ")[2].removesuffix('"))') or text


def _first_line(error: BaseException) -> str:
    text = str(error.args[0] if error.args else error)
    return text.strip().partition("\n")[0][:400]
