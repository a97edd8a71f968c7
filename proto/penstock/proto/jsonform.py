"""SeldonMessage in JSON, to and from `Message`.

The form is protobuf's JSON mapping of the message, as Seldon's REST API uses it. Keys that the message does not
have are refused, and so are two payloads at once; ``null`` is the same as leaving a key out, except in jsonData.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import array_of, check_depth
from .base64text import decode_base64, encode_base64
from .content import json_value, value_from_json
from .errors import PayloadError
from .jsontable import beginning, write_numbers
from .jsontext import dumps, finite, loads
from .limits import DEFAULT_LIMITS
from .numbertext import loads_numbers
from .payload import Kind, Message, Meta, Payload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .asides import Feedback, Metric, Status
    from .limits import Limits
    from .payload import Json

_PAYLOADS = ("binData", "data", "jsonData", "strData")
_MESSAGE = frozenset((*_PAYLOADS, "meta", "status"))
_FORMS = ("ndarray", "tensor", "tftensor")
_FORM_KINDS = {form: Kind(form) for form in _FORMS}
_PLAIN = frozenset((Kind.NDARRAY, Kind.TENSOR))
_DOUBLE = np.dtype(np.float64)
_META = frozenset(("metrics", "puid", "requestPath", "routing", "tags"))
_BIN_DATA_BEGINS = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"binData"[ \t\r\n]*:[ \t\r\n]*"')
_METRIC_TYPES = ("COUNTER", "GAUGE", "TIMER")


def read_json_message(body: bytes, limits: Limits = DEFAULT_LIMITS) -> Message:
    """Read a message from JSON text.

    Raises:
        PayloadError: what is wrong, and with which key. LimitError: too large, too many, too deep.
    """
    limits.check_bytes(len(body))
    return _only_bytes(body) or message_from_json(loads_numbers(body, limits), limits)


def _only_bytes(body: bytes) -> Message | None:
    """A message that is binData and nothing else, without a Python text of it in between; None for any other."""
    begin = _BIN_DATA_BEGINS.match(body)
    if begin is None:
        return None
    end = body.find(b'"', begin.end())
    text = body[begin.end() : end]
    # What JSON text may not hold, base64 may not either, but for white space at its ends.
    if end < 0 or body[end + 1 :].strip(b" \t\r\n") != b"}" or text != text.strip():
        return None
    try:
        return Message(Payload(Kind.BIN_DATA, decode_base64(text)))
    except PayloadError:
        return None  # told by who reads all of it


def message_from_json(value: Json, limits: Limits = DEFAULT_LIMITS) -> Message:
    """Read a message from its parsed JSON form."""
    payload = _one_array(value, limits)
    if payload is not None:
        return Message(payload)
    fields = _object(value, "the message", _MESSAGE)
    present = [key for key in _PAYLOADS if key in fields and (fields[key] is not None or key == "jsonData")]
    if len(present) > 1:
        raise PayloadError(f"the message has {' and '.join(present)}; it may have one", code="SEVERAL_PAYLOADS")
    payload = _read_payload(present[0], fields[present[0]], limits) if present else None
    return Message(payload, _read_meta(fields.get("meta"), limits), _read_status(fields.get("status")))


def _one_array(value: Json, limits: Limits) -> Payload | None:
    """What almost everyone sends, in few steps: one array and nothing else; None for any other."""
    if type(value) is not dict or len(value) != 1:
        return None
    data = value.get("data")
    if type(data) is not dict or len(data) != 1:
        return None
    ((form, content),) = data.items()
    if form == "ndarray" and content is not None:
        return Payload(Kind.NDARRAY, array_of(content, limits))
    kind = _FORM_KINDS.get(form)
    return None if kind is None or content is None else Payload(kind, value_from_json(kind, content, limits))


def _object(value: Json, what: str, known: frozenset[str]) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise PayloadError(f"{what} is a JSON object, not {type(value).__name__}", code="NOT_AN_OBJECT")
    unknown = sorted(value.keys() - known)
    if unknown:
        wrong = ", ".join(f"{key!r:.40}" for key in unknown[:5])
        raise PayloadError(f"{what} has no key {wrong}; known are {', '.join(sorted(known))}", code="UNKNOWN_KEY")
    return value


def _read_payload(key: str, value: Json, limits: Limits) -> Payload:
    if key == "data":
        return _read_data(value, limits)
    if key == "jsonData":
        return Payload(Kind.JSON_DATA, value_from_json(Kind.JSON_DATA, value, limits))
    if not isinstance(value, str):
        raise PayloadError(f"{key} is text, not {type(value).__name__}", code="NOT_TEXT")
    return Payload(Kind.STR_DATA, value) if key == "strData" else Payload(Kind.BIN_DATA, decode_base64(value))


def _read_data(value: Json, limits: Limits) -> Payload:
    fields = _object(value, "data", frozenset(("names", *_FORMS)))
    present = [key for key in _FORMS if fields.get(key) is not None]
    if len(present) > 1:
        raise PayloadError(f"data has {' and '.join(present)}; it may have one", code="SEVERAL_PAYLOADS")
    if not present:
        raise PayloadError("data is empty: it has neither ndarray, tensor nor tftensor", code="EMPTY_DATA")
    kind = Kind(present[0])
    return Payload(kind, value_from_json(kind, fields[kind], limits), _read_names(fields.get("names")))


def _read_names(value: Json) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise PayloadError("names is a list of text", code="BAD_NAMES")
    return tuple(value)


def _read_meta(value: Json, limits: Limits) -> Meta:
    fields = _object(value, "meta", _META)
    if not fields:
        return Meta()
    tags = fields.get("tags")
    check_depth(tags, limits)
    return Meta(
        puid=_of_type(fields.get("puid"), str, "meta.puid") or "",
        tags=_of_type(tags, dict, "meta.tags") or {},
        routing=_map(fields.get("routing"), int, "meta.routing"),
        request_path=_map(fields.get("requestPath"), str, "meta.requestPath"),
        metrics=tuple(map(_read_metric, _of_type(fields.get("metrics"), list, "meta.metrics") or ())),
    )


def _of_type(value: Json, kind: type, what: str) -> Any:
    if value is not None and type(value) is not kind:
        raise PayloadError(f"{what} is {kind.__name__}, not {type(value).__name__}", code="BAD_META")
    return value


def _map(value: Json, kind: type, what: str) -> dict[str, Any]:
    entries: dict[str, Any] = _of_type(value, dict, what) or {}
    return {key: _of_type(item, kind, f"{what}.{key:.40}") for key, item in entries.items()}


def _read_metric(value: Json) -> Metric:
    from .asides import Metric

    fields = _object(value, "a metric", frozenset(("key", "tags", "type", "value")))
    kind, number = fields.get("type", 0), fields.get("value", 0)
    if type(kind) is int and 0 <= kind < len(_METRIC_TYPES):
        kind = _METRIC_TYPES[kind]
    if kind not in _METRIC_TYPES or type(number) not in (int, float):
        raise PayloadError("a metric has a type (COUNTER, GAUGE or TIMER) and a number as value", code="BAD_METRIC")
    key = _of_type(fields.get("key"), str, "the key of a metric") or ""
    return Metric(key, kind, number, _map(fields.get("tags"), str, "the tags of a metric"))


def _read_status(value: Json) -> Status | None:
    if value is None:
        return None
    from .asides import Status

    fields = _object(value, "status", frozenset(("code", "info", "reason", "status")))
    code = _of_type(fields.get("code"), int, "status.code") or 0
    info = _of_type(fields.get("info"), str, "status.info") or ""
    reason = _of_type(fields.get("reason"), str, "status.reason") or ""
    return Status(code, info, reason, failure=fields.get("status") in (1, "FAILURE"))


def write_json_message(message: Message) -> bytes:
    """Write a message as JSON text, keys sorted.

    Raises:
        ConversionError: a value that JSON cannot hold exactly.
    """
    return _array_text(message) or dumps(json_message(message))


def _array_text(message: Message) -> bytes:
    """What almost every answer is, in few steps: finite doubles, names and meta; empty for any other."""
    payload = message.payload
    if payload is None or message.status is not None or not (payload.kind in _PLAIN and payload.names):
        return b""
    array = payload.value
    if array.dtype is not _DOUBLE or not array.size or not array.ndim:
        return b""
    is_tensor = payload.kind is Kind.TENSOR
    numbers = write_numbers(array.reshape(-1) if is_tensor else array)
    if not numbers:
        return b""
    if is_tensor:
        numbers = b'{"shape":%b,"values":%b}' % (dumps(array.shape), numbers)
    meta = message.meta
    if meta.tags or meta.routing or meta.metrics or not (meta.puid and meta.request_path):
        about = _json_meta(meta)
    else:
        about = {"puid": meta.puid, "requestPath": meta.request_path}
    return b"".join((beginning(payload.names, payload.kind), numbers, b'},"meta":', dumps(about), b"}"))


def json_message(message: Message) -> dict[str, Json]:
    """The JSON form of a message, for `jsontext.dumps` (large arrays are still arrays in it)."""
    result: dict[str, Json] = {"meta": _json_meta(message.meta)}
    if message.payload is not None:
        result |= _json_payload(message.payload)
    if message.status is not None:
        status = message.status
        result["status"] = {
            "code": status.code,
            "info": status.info,
            "reason": status.reason,
            "status": int(status.failure),
        }
    return result


def _json_payload(payload: Payload) -> dict[str, Json]:
    if payload.kind is Kind.BIN_DATA:
        return {"binData": encode_base64(payload.value)}
    if payload.kind is Kind.STR_DATA:
        return {"strData": payload.value}
    if payload.kind is Kind.JSON_DATA:
        return {"jsonData": json_value(payload)}
    return {"data": {"names": list(payload.names), str(payload.kind): json_value(payload)}}


def _json_meta(meta: Meta) -> dict[str, Json]:
    result: dict[str, Json] = {}
    if meta.puid:
        result["puid"] = meta.puid
    if meta.tags:
        result["tags"] = finite(meta.tags)
    if meta.routing:
        result["routing"] = meta.routing
    if meta.request_path:
        result["requestPath"] = meta.request_path
    if meta.metrics:
        result["metrics"] = [_json_metric(metric) for metric in meta.metrics]
    return result


def _json_metric(metric: Metric) -> dict[str, Json]:
    result: dict[str, Json] = {"key": metric.key, "type": metric.type, "value": finite(metric.value)}
    if metric.tags:
        result["tags"] = metric.tags
    return result


def read_json_message_list(body: bytes, limits: Limits = DEFAULT_LIMITS) -> list[Message]:
    """Read ``{"seldonMessages": […]}``."""
    return message_list_from_json(loads(body, limits), limits)


def message_list_from_json(value: Json, limits: Limits = DEFAULT_LIMITS) -> list[Message]:
    """Read a parsed ``{"seldonMessages": […]}``."""
    messages = _object(value, "the list of messages", frozenset(("seldonMessages",))).get("seldonMessages")
    return [message_from_json(item, limits) for item in _of_type(messages, list, "seldonMessages") or ()]


def write_json_message_list(messages: Sequence[Message]) -> bytes:
    """Write ``{"seldonMessages": […]}``."""
    return dumps({"seldonMessages": [json_message(message) for message in messages]})


def read_json_feedback(body: bytes, limits: Limits = DEFAULT_LIMITS) -> Feedback:
    """Read a feedback from JSON text."""
    return feedback_from_json(loads(body, limits), limits)


def feedback_from_json(value: Json, limits: Limits = DEFAULT_LIMITS) -> Feedback:
    """Read a feedback from its parsed JSON form."""
    from .asides import Feedback

    fields = _object(value, "the feedback", frozenset(("request", "response", "reward", "truth")))
    reward = fields.get("reward") or 0.0
    if type(reward) not in (int, float):
        raise PayloadError("reward is a number", code="BAD_REWARD")
    parts = (message_from_json(fields.get(key), limits) for key in ("request", "response", "truth"))
    request, response, truth = parts
    return Feedback(request, response, float(reward), truth)


def write_json_feedback(feedback: Feedback) -> bytes:
    """Write a feedback as JSON text."""
    parts = (("request", feedback.request), ("response", feedback.response), ("truth", feedback.truth))
    return dumps({"reward": finite(feedback.reward)} | {key: json_message(part) for key, part in parts})
