"""The registry as an OpenAPI document (https://spec.openapis.org/oas/v3.1.0)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from keepalive_py import __version__
from keepalive_py.control.caller import Role
from keepalive_py.control.fields import Field
from keepalive_py.control.resource import JSON_TYPE, Resource

Json = dict[str, Any]

FAULTS: Final = {
    400: "The request is wrong; the error says where.",
    401: "No token, or one that is not known.",
    403: "The token's role may not do this.",
    404: "There is no such thing.",
    408: "The body came too slowly.",
    409: "It would do harm; it can be forced.",
    413: "The body is too large.",
    500: "A mistake of ours.",
    503: "Not now.",
}
ERROR: Final[Json] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {name: {"type": "string"} for name in ("code", "message", "hint")},
        }
    },
}


def document(resources: Sequence[Resource]) -> Json:
    paths: dict[str, Json] = {}
    for resource in resources:
        paths.setdefault(resource.path, {})[resource.method.lower()] = operation(resource)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "keepalive_py control API",
            "version": __version__,
            "description": "Over the unix socket no token is needed: whoever may connect may do everything.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def operation(resource: Resource) -> Json:
    found: Json = {
        "operationId": operation_id(resource),
        "summary": resource.summary,
        "parameters": [*path_parameters(resource.path), *map(parameter, resource.query)],
        "responses": responses(resource),
        "security": [] if resource.role is Role.NOBODY else [{"token": []}],
        "x-role": resource.role.word,
    }
    if resource.body is not None:
        schema = body_schema(resource.body)
        found["requestBody"] = {
            "required": bool(schema["required"]),
            "content": {JSON_TYPE: {"schema": schema}},
        }
    return found


def operation_id(resource: Resource) -> str:
    words = re.findall(r"\w+", resource.path)
    return "_".join([resource.method.lower(), *words])


def path_parameters(path: str) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def parameter(field: Field) -> Json:
    schema = field.schema()
    return {
        "name": field.name,
        "in": "query",
        "required": field.required,
        "description": schema.pop("description"),
        "schema": schema,
    }


def body_schema(fields: Sequence[Field]) -> Json:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [field.name for field in fields if field.required],
        "properties": {field.name: field.schema() for field in fields},
    }


def responses(resource: Resource) -> Json:
    faults = {400, 500, *resource.faults} | ({401, 403} if resource.role is not Role.NOBODY else set())
    if resource.body is not None:
        faults |= {408, 413}
    schema = {"type": "object"} if resource.type == JSON_TYPE else {"type": "string"}
    good: Json = {"description": resource.answer, "content": {resource.type: {"schema": schema}}}
    bad: Json = {"$ref": "#/components/schemas/Error"}
    return {
        "200": good,
        **{
            str(status): {"description": FAULTS[status], "content": {JSON_TYPE: {"schema": bad}}}
            for status in sorted(faults)
        },
    }
