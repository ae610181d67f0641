"""One call of the JSON API: its arguments, checked for what the method knows."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

from servers.gcs import access, schema, selecting
from servers.gcs.refusals import invalid
from servers.gcs.wire import Answer


class Call:
    """A request as the method that answers it sees it."""

    def __init__(self, state, asked, args, known):
        self.state = state
        self.asked = asked
        self.headers = asked.headers
        self.args = args
        self.params = read_query(asked.query)
        for name in self.params:
            if name not in known and name not in schema.COMMON:
                raise invalid(f'Unknown name "{name}": Cannot bind query parameter.', ("parameter", name), "badRequest")
        self.caller = state.identity.find(asked.headers.get("authorization"))

    def get(self, name, default=None):
        return self.params.get(name, default)

    def number(self, name):
        """Return a parameter that is a number, or ``None``."""
        text = self.params.get(name)
        if text is None:
            return None
        try:
            return int(text)
        except ValueError:
            message = f"Invalid value for integer parameter: '{text}'"
            raise invalid(message, ("parameter", name), "invalidParameter") from None

    def flag(self, name):
        text = self.params.get(name, "false").lower()
        if text not in ("true", "false"):
            raise invalid(f"Invalid value for boolean parameter: '{text}'", ("parameter", name), "invalidParameter")
        return text == "true"

    @property
    def is_full(self):
        """Whether the answer is to tell the access control lists."""
        projection = self.params.get("projection", "noAcl")
        if projection not in ("full", "noAcl"):
            message = f"Invalid value '{projection}'. Values must be within the following set: [full, noAcl]"
            raise invalid(message, ("parameter", "projection"), "invalidParameter")
        return projection == "full"

    def json(self, shape):
        """Return the body. :raises Refusal: it is no JSON, or not of that shape."""
        return read_json(self.asked.body.read(), shape)

    def multiple(self, name):
        """Return all values of a parameter."""
        return [value for key, value in parse_qsl(self.asked.query) if key == name]

    @property
    def url(self):
        """The service's address as the caller has it."""
        return f"http://{self.headers.get('host', '')}"

    @property
    def bucket(self):
        """The bucket of the path."""
        return self.state.bucket(self.args["bucket"])

    def allow(self, permission, bucket, version=None):
        access.allow(self.caller, f"storage.{permission}", bucket, version)

    def answer(self, value, status=200, headers=None):
        """Return an answer of JSON, cut to the fields that were asked for."""
        if "fields" in self.params:
            value = selecting.select(value, self.params["fields"])
        return json_answer(value, status, headers)


def json_answer(value, status=200, headers=None):
    body = b"" if value is None else json.dumps(value, ensure_ascii=False).encode()
    if status == 204:
        return Answer(status, headers)
    return Answer(status, {"Content-Type": "application/json; charset=UTF-8", **(headers or {})}, body)


def read_query(query):
    try:
        return dict(parse_qsl(query, keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        raise invalid("Query parameters are not UTF-8") from None


def read_json(body, shape):
    try:
        value = json.loads(body) if body else {}
    except ValueError:
        raise invalid("Parse Error", reason="parseError") from None
    if not isinstance(value, dict):
        raise invalid("Parse Error", reason="parseError")
    schema.check(value, shape)
    return value
