"""Certificates by ACME (RFC 8555), proven by a DNS record: needs no way to the app, and works before traffic comes to it.

Private keys are made in memory and returned; nothing here writes a file or logs one. The protocol is certbot's library's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from portable.dns.places import Place
from portable.dns.settings import LETS_ENCRYPT, AcmeSettings
from portable.errors import PortableError, ProviderError
from portable.provider import Record

if TYPE_CHECKING:
    from acme.client import ClientV2
    from cryptography.hazmat.primitives.asymmetric import ec

VALIDATION = dt.timedelta(minutes=5)
_CHALLENGE_TTL = 60


@dataclass(frozen=True)
class Account:
    """A key that an authority knows. `uri` is its name there; empty: not registered yet."""

    directory: str
    key: str = field(repr=False)
    uri: str = ""


@dataclass(frozen=True)
class Issued:
    chain: str
    key: str = field(repr=False)


def new_account(settings: AcmeSettings) -> Account:
    return Account(settings.directory, _pem(_new_key()))


def register(account: Account, settings: AcmeSettings) -> Account:
    """Agrees to the authority's terms; finds the account where it is there already. Raises ProviderError."""
    from acme import errors, messages

    with _problems(settings, "an account"):
        client = _client(replace(account, uri=""), settings)
        if client.external_account_required():
            raise ProviderError(
                f"{settings.directory} makes accounts only for customers (external account binding)",
                fix="use another authority (PORTABLE_ACME_DIRECTORY), or cert-manager, or a certificate of your own",
            )
        asked = messages.NewRegistration.from_data(email=settings.email or None, terms_of_service_agreed=True)
        try:
            return replace(account, uri=client.new_account(asked).uri)
        except errors.ConflictError as known:
            return replace(account, uri=known.location)


def issue(
    host: str, place: Place, account: Account, settings: AcmeSettings, *, patience: dt.timedelta = VALIDATION
) -> Issued:
    """A certificate for `host`, whose zone is `place`. Raises ProviderError with the authority's own words."""
    from acme.crypto_util import make_csr

    key = _pem(_new_key())
    # the library wants local times without a zone
    deadline = dt.datetime.now() + patience
    with _problems(settings, host):
        client = _client(account, settings)
        order = client.new_order(make_csr(key.encode(), [host]))
        _prove(client, order, place, deadline)
        done = client.finalize_order(order, deadline)
    return Issued(done.fullchain_pem, key)


def _prove(client: ClientV2, order: Any, place: Place, deadline: dt.datetime) -> None:
    from acme.messages import STATUS_VALID

    for authorization in order.authorizations:
        if authorization.body.status == STATUS_VALID:
            continue
        challenge = _dns_challenge(authorization.body)
        name = challenge.chall.validation_domain_name(authorization.body.identifier.value)
        with _shown(place, name, challenge.chall.validation(client.net.key)):
            client.answer_challenge(challenge, challenge.chall.response(client.net.key))
            client.poll_authorizations(order, deadline)


def _dns_challenge(authorization: Any) -> Any:
    from acme.challenges import DNS01

    for challenge in authorization.challenges:
        if isinstance(challenge.chall, DNS01):
            return challenge
    raise ProviderError(
        f"the authority offers no proof by DNS for {authorization.identifier.value}",
        fix="use another authority (PORTABLE_ACME_DIRECTORY), or a certificate of your own",
    )


@contextmanager
def _shown(place: Place, name: str, value: str) -> Iterator[None]:
    """The answer stands in DNS while the authority looks; what others have there (another certificate's) stays."""
    others = tuple(
        text for found in place.zones.records(place.zone, name) if found.type == "TXT" for text in found.values
    )
    place.zones.upsert(place.zone, Record(name, "TXT", (*others, value), _CHALLENGE_TTL))
    try:
        yield
    finally:
        if others:
            place.zones.upsert(place.zone, Record(name, "TXT", others, _CHALLENGE_TTL))
        else:
            place.zones.delete(place.zone, Record(name, "TXT", (value,), _CHALLENGE_TTL))


# Keys and the client


def _client(account: Account, settings: AcmeSettings) -> ClientV2:
    from acme.client import ClientNetwork, ClientV2
    from acme.messages import Registration, RegistrationResource
    from cryptography.hazmat.primitives import serialization
    from josepy.jwa import ES256
    from josepy.jwk import JWKEC

    from portable import __version__

    key = serialization.load_pem_private_key(account.key.encode(), password=None)
    # passed on to requests, which takes the path of a bundle too
    trust: Any = str(settings.ca) if settings.ca else True
    net = ClientNetwork(JWKEC(key=key), alg=ES256, verify_ssl=trust, user_agent=f"portable/{__version__}")
    if account.uri:
        net.account = RegistrationResource(body=Registration(), uri=account.uri)
    return ClientV2(ClientV2.get_directory(settings.directory, net), net)


def _new_key() -> ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    from cryptography.hazmat.primitives import serialization

    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


# Errors

_FIXES = {
    "rateLimited": "wait for as long as it says; try things out with the authority's staging directory"
    " (PORTABLE_ACME_DIRECTORY)",
    "rejectedIdentifier": "give the route another host, or a certificate of your own",
    "caa": "allow this authority in the CAA record of the domain",
    "accountDoesNotExist": "run `portable up` again",
}
_ZONE_FIX = (
    "check that the world's name servers of this zone are the ones that the record was written to (`dig +trace`)"
)


@contextmanager
def _problems(settings: AcmeSettings, what: str) -> Iterator[None]:
    """What the library and the network raise, in our words."""
    import requests
    from acme import errors, messages

    try:
        yield
    except PortableError:
        raise
    except errors.ValidationError as error:
        raise _refused(settings, what, _challenge_errors(error)) from error
    except errors.IssuanceError as error:
        raise _refused(settings, what, [error.error]) from error
    except messages.Error as error:
        raise _refused(settings, what, [error]) from error
    except errors.TimeoutError as error:
        raise ProviderError(
            f"{_name(settings)} did not decide about {what} in time", fix="run `portable up` again: it asks anew"
        ) from error
    except requests.exceptions.SSLError as error:
        raise ProviderError(
            f"the certificate of {settings.directory} is not trusted", fix="name its authority in PORTABLE_ACME_CA"
        ) from error
    except (requests.RequestException, OSError) as error:
        raise ProviderError(
            f"{settings.directory} cannot be reached: {type(error).__name__}",
            fix="check the network, HTTPS_PROXY, PORTABLE_ACME_DIRECTORY and PORTABLE_ACME_CA",
        ) from error
    except errors.Error as error:
        raise ProviderError(f"{_name(settings)} failed for {what}: {error}", fix="run `portable up` again") from error


def _challenge_errors(error: Any) -> list[Any]:
    return [
        challenge.error
        for authorization in error.failed_authzrs
        for challenge in authorization.body.challenges
        if challenge.error is not None
    ]


def _refused(settings: AcmeSettings, what: str, problems: list[Any]) -> ProviderError:
    codes = [str(problem.code or "") for problem in problems]
    return ProviderError(
        f"{_name(settings)} refuses {what if what == 'an account' else f'a certificate for {what}'}",
        detail="\n".join(f"{code}: {problem.detail}" for code, problem in zip(codes, problems, strict=True)),
        fix=next((_FIXES[code] for code in codes if code in _FIXES), _ZONE_FIX),
    )


def _name(settings: AcmeSettings) -> str:
    return "Let's Encrypt" if settings.directory == LETS_ENCRYPT else settings.directory
