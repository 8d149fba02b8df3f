"""The SDK's errors, told to a person: what was refused, which credentials were tried, which permission is missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from portable.errors import ProviderError

if TYPE_CHECKING:
    from portable_aws.session import Sdk

Made = TypeVar("Made")

CHAIN = (
    "tried, in this order: AWS_ACCESS_KEY_ID in the environment, the profile that AWS_PROFILE names (its roles, web identity, "
    "IAM Identity Center, credential_process), ~/.aws/credentials, the container's role, the instance's role"
)
LOG_IN = "log in (`aws sso login`), choose a profile (AWS_PROFILE) or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
AGAIN = "then run the same command again: it carries on where it stopped"

_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
_STALE = {
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "AuthFailure",
}
_THROTTLED = {"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"}
_REGION = re.compile(r"\.([a-z0-9-]+-\d+)\.(?:amazonaws\.com|api\.aws)")
_TRIES = 5
_LOOKS = 3


def code_of(error: Any) -> str:
    """The service's machine word ("DependencyViolation"); empty where no service answered."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def message_of(error: Any) -> str:
    return str(getattr(error, "response", {}).get("Error", {}).get("Message", "")) or str(error)


def is_gone(error: Any) -> bool:
    """Whether the service says that it knows no such thing: each of EC2's kinds has a word of its own that holds "NotFound"."""
    code = code_of(error)
    return "NotFound" in code or code == "NoSuchEntity"


def is_transient(error: Exception) -> bool:
    """Whether the call may have been done, or would be done the next time."""
    from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or code_of(error) in _THROTTLED
    return isinstance(error, ConnectionError | HTTPClientError)


def unless_gone(call: Callable[[], Made]) -> Made | None:
    """What `call` returns; None where the thing it is about does not exist."""
    from botocore.exceptions import ClientError

    try:
        return call()
    except ClientError as error:
        if is_gone(error):
            return None
        raise


def unless(codes: set[str], call: Callable[[], Made]) -> Made | None:
    """What `call` returns; None where it is refused with one of `codes`: then it is so already."""
    from botocore.exceptions import ClientError

    try:
        return call()
    except ClientError as error:
        if code_of(error) in codes:
            return None
        raise


def made_once(find: Callable[[], Made | None], make: Callable[[], Made], sleep: Callable[[float], None]) -> Made:
    """What `find` finds, else what `make` makes. A `make` whose reply was lost is looked for before it is repeated.

    For what has no client token; `make` has to use a client that does not repeat calls by itself. A new object may take a
    moment until it can be found, so it is looked for more than once.
    """
    found = find()
    for attempt in range(_TRIES):
        if found is not None:
            return found
        try:
            return make()
        except Exception as error:
            if attempt + 1 == _TRIES or not is_transient(error):
                raise
        for look in range(_LOOKS):
            sleep(2.0**look)
            found = find()
            if found is not None:
                break
    raise AssertionError("the last attempt returns or raises")


def when_known(call: Callable[[], Made], sleep: Callable[[float], None]) -> Made:
    """What `call` returns, tried again while the service says that it does not know what was made a moment ago.

    https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html; IAM is the same.
    """
    from botocore.exceptions import ClientError

    for attempt in range(_TRIES):
        try:
            return call()
        except ClientError as error:
            if attempt + 1 == _TRIES or not is_gone(error):
                raise
        sleep(2.0**attempt)
    raise AssertionError("the last attempt returns or raises")


@contextmanager
def explained(sdk: Sdk) -> Iterator[None]:
    """Raises ProviderError in place of what the SDK raises."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectionError,
        HTTPClientError,
        NoCredentialsError,
        NoRegionError,
        PartialCredentialsError,
        ProfileNotFound,
    )

    try:
        yield
    except ClientError as error:
        raise _refused(sdk, error) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise ProviderError("no AWS credentials were found", detail=CHAIN, fix=LOG_IN) from error
    except ProfileNotFound as error:
        raise ProviderError(f"AWS: {error}", fix="AWS_PROFILE has to name a profile of ~/.aws/config") from error
    except NoRegionError as error:
        raise ProviderError("no AWS region is chosen", fix="set AWS_REGION, or cluster.region in the spec") from error
    except (ConnectionError, HTTPClientError) as error:
        raise _unreachable(sdk, error) from error
    except BotoCoreError as error:
        # SSO, assumed roles and credential processes each have errors of their own, with good words
        raise ProviderError(f"AWS: {error}", detail=CHAIN, fix=f"{LOG_IN}; {AGAIN}") from error


def _unreachable(sdk: Sdk, error: Any) -> ProviderError:
    """A region that does not exist has no address, which looks as if the network were down."""
    named = _REGION.search(str(error))
    if named is not None and named[1] not in sdk.known_regions():
        return ProviderError(
            f"AWS could not be reached in {named[1]}, which is no region that its SDK knows",
            detail=str(error),
            fix="correct cluster.region, AWS_REGION or the profile's `region`; of a region that is newer than the SDK, renew boto3",
        )
    fix = f"see whether this machine reaches the internet (a proxy? AWS_ENDPOINT_URL?); {AGAIN}"
    return ProviderError("AWS could not be reached", detail=str(error), fix=fix)


def _refused(sdk: Sdk, error: Any) -> ProviderError:
    code, message, operation = code_of(error), message_of(error), str(error.operation_name)
    if code in _STALE:
        source = sdk.credentials_source() or "none"
        return ProviderError(
            f"AWS does not take these credentials (any more): {code}",
            detail=f"they came from: {source}; {CHAIN}",
            fix=f"{LOG_IN}; {AGAIN}",
        )
    if code in _DENIED:
        permission = _permission(operation, message)
        return ProviderError(
            f"AWS refuses {operation}: the permission {permission} is missing",
            detail=message.split(" Encoded authorization failure")[0],
            fix="`portable providers show aws` prints the policy that is needed; " + AGAIN,
        )
    # before quotas: EC2 calls it RequestLimitExceeded
    if code in _THROTTLED:
        return ProviderError(f"AWS is asked too often ({operation})", detail=message, fix=f"wait a minute, {AGAIN}")
    if "LimitExceeded" in code or "QuotaExceeded" in code:
        return ProviderError(
            f"an AWS quota is used up: {message}",
            detail=f"{operation}: {code}",
            fix=f"remove what is no longer needed, or ask for more in the console under Service Quotas; {AGAIN}",
        )
    return ProviderError(f"AWS refuses {operation}: {message}", detail=code, fix=f"mend what it names, {AGAIN}")


def _permission(operation: str, message: str) -> str:
    """As the message names it, else by the table of the calls that are made."""
    from portable_aws.permissions import CALLS

    named = re.search(r"perform: ([a-z0-9-]+:\w+)", message)
    if named:
        return named[1]
    return next((call for call in CALLS if call.endswith(f":{operation}")), operation)
