"""Requests and replies of a REST-JSON service, by botocore's model of it: parsed, validated, written."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, unquote

import botocore.session
from botocore.model import OperationModel, Shape
from botocore.validate import ParamValidator

from tests.clouds.front import HttpReply, HttpRequest

_TYPES = {"integer": int, "long": int, "boolean": lambda text: text == "true"}


class Refused(Exception):
    """The service says no, with one of the operation's own errors. `more`: other members of the error."""

    def __init__(self, code: str, message: str, *, status: int = 400, **more: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.more = code, message, status, more


@dataclass(frozen=True)
class Call:
    """`parameters`: the input shape's members, validated."""

    operation: str
    parameters: Mapping[str, Any]


class Model:
    """The operations of one service."""

    def __init__(self, service: str) -> None:
        self._service = _model(service)
        self._routes = [
            (operation, operation.http["method"], _pattern(operation.http["requestUri"]))
            for operation in map(self._service.operation_model, self._service.operation_names)
        ]

    def operation(self, request: HttpRequest) -> str:
        return str(self._route(request).name)

    def _route(self, request: HttpRequest) -> OperationModel:
        for operation, method, pattern in self._routes:
            if method == request.method and pattern.fullmatch(request.path):
                return operation
        raise AssertionError(f"no operation of the service is {request.method} {request.path}")

    def parse(self, request: HttpRequest) -> Call:
        """Raises Refused for what the model does not allow."""
        operation = self._route(request)
        shape: Any = operation.input_shape
        parameters = json.loads(request.body) if request.body else {}
        known = _pattern(operation.http["requestUri"]).fullmatch(request.path)
        assert known is not None
        names = re.findall(r"\{(\w+)\+?\}", operation.http["requestUri"])
        in_path = dict(zip(names, map(unquote, known.groups()), strict=True))
        queried = parse_qs(request.query)
        for member, inner in _members(shape).items():
            wire: Any = inner.serialization
            place, name = wire.get("location"), wire.get("name", member)
            if place == "uri":
                parameters[member] = in_path[name]
            elif place == "querystring" and name in queried:
                parameters[member] = _read(inner, queried[name])
        unknown = set(parameters) - set(_members(shape))
        if unknown:
            raise Refused("InvalidParameterException", f"unknown parameters: {sorted(unknown)}")
        report = ParamValidator().validate(parameters, shape)
        if report.has_errors():
            raise Refused("InvalidParameterException", report.generate_report())
        return Call(str(operation.name), parameters)

    def reply(self, operation: str, answer: Mapping[str, Any]) -> HttpReply:
        """An answer that the model does not allow is a mistake of the stand-in."""
        shape = self._service.operation_model(operation).output_shape
        assert shape is not None
        report = ParamValidator().validate(answer, shape)
        assert not report.has_errors(), f"{operation}: {report.generate_report()}"
        _require_known(shape, answer, operation)
        return HttpReply(200, json.dumps(answer, default=_moment).encode(), {"Content-Type": "application/json"})

    def refusal(self, operation: str, refused: Refused) -> HttpReply:
        known = {shape.name for shape in self._service.operation_model(operation).error_shapes}
        common = {"ThrottlingException", "ExpiredTokenException", "AccessDeniedException", "ServerException"}
        assert refused.code in known | common, f"{operation} has no error {refused.code}: {sorted(known)}"
        body = json.dumps({"message": refused.message, **refused.more}).encode()
        return HttpReply(refused.status, body, {"Content-Type": "application/json", "x-amzn-errortype": refused.code})


@functools.cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def _pattern(uri: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{\w+\+?\}", "([^/]+)", uri.partition("?")[0]))


def _members(shape: Shape) -> Mapping[str, Shape]:
    return getattr(shape, "members", {})


def _read(shape: Shape, values: list[str]) -> Any:
    return values if shape.type_name == "list" else _TYPES.get(shape.type_name, str)(values[0])


def _require_known(shape: Shape, value: Any, where: str) -> None:
    """ParamValidator lets members pass that a shape does not have."""
    if shape.type_name == "structure":
        for key, inner in value.items():
            assert key in _members(shape), f"{where} has no member {key}"
            _require_known(_members(shape)[key], inner, f"{where}.{key}")
    elif shape.type_name == "list":
        for entry in value:
            _require_known(shape.member, entry, where)  # type: ignore[attr-defined]
    elif shape.type_name == "string" and getattr(shape, "enum", None):
        assert value in shape.enum, f"{where}: {value!r} is none of {shape.enum}"  # type: ignore[attr-defined]


def _moment(value: Any) -> float:
    assert isinstance(value, datetime)
    return value.timestamp()
