"""W3C Trace Context, level 2: what is a trace, and what is passed on of it."""

from __future__ import annotations

import re

import pytest

from penstock.proto.trace_context import Trace, new_span, read_trace

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01".encode()


@pytest.mark.parametrize(
    ("parent", "flags"),
    [
        (PARENT, "01"),
        (f"00-{TRACE}-{SPAN}-00".encode(), "00"),
        (f"00-{TRACE}-{SPAN}-03".encode(), "03"),
        # Flags that level 2 does not know are not passed on.
        (f"00-{TRACE}-{SPAN}-ff".encode(), "03"),
        # A later version is read as far as it is known, and may have more behind a dash.
        (f"01-{TRACE}-{SPAN}-01".encode(), "01"),
        (f"cc-{TRACE}-{SPAN}-09-what-the-future-brings".encode(), "01"),
    ],
)
def test_a_trace_is_read(parent: bytes, flags: str) -> None:
    assert read_trace([parent]) == Trace(TRACE, flags)


@pytest.mark.parametrize(
    "parent",
    [
        b"",
        b"00",
        PARENT[:-1],
        PARENT + b" ",
        PARENT + b"\n",
        b" " + PARENT,
        PARENT + b"-more",
        PARENT.upper(),
        f"ff-{TRACE}-{SPAN}-01".encode(),
        f"0g-{TRACE}-{SPAN}-01".encode(),
        f"cc-{TRACE}-{SPAN}-01x".encode(),
        f"cc-{TRACE}-{SPAN}-01.more".encode(),
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE}-{SPAN}-0x".encode(),
        f"00-{TRACE[:-1]}-{SPAN}-01".encode(),
        f"00_{TRACE}_{SPAN}_01".encode(),
        "00-\u0664bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01".encode(),
        b"\xff\x00",
    ],
)
def test_a_malformed_one_is_none(parent: bytes) -> None:
    assert read_trace([parent], [b"a=1"]) is None


def test_none_and_more_than_one_are_none() -> None:
    assert read_trace([]) is read_trace([None]) is read_trace([PARENT, PARENT]) is None


LONG = b"long=" + b"x" * 124


@pytest.mark.parametrize(
    ("states", "passed"),
    [
        ([b"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"], "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        ([b"a=1", b"b=2"], "a=1,b=2"),
        ([b"a=1 ,\tb=2,, "], "a=1,b=2"),
        ([b"0tenant@system-_*/=with spaces :;"], "0tenant@system-_*/=with spaces :;"),
        ([b""], ""),
        ([None, b"a=1"], "a=1"),
        # Malformed: a key in upper case, none, twice; a value with a comma's neighbour missing, of no ASCII, empty.
        ([b"A=1"], ""),
        ([b"=1"], ""),
        ([b"a=1,a=2"], ""),
        ([b"a"], ""),
        ([b"a="], ""),
        ([b"a=\xe9"], ""),
        ([b"a=1\r\nx: y"], ""),
        ([b"a" * 257 + b"=1"], ""),
        ([b"a=" + b"x" * 257], ""),
        ([b",".join(b"k%d=1" % n for n in range(32))], ",".join(f"k{n}=1" for n in range(32))),
        ([b",".join(b"k%d=1" % n for n in range(33))], ""),
        # Of more than 512 characters, members of more than 128 go first, then the last ones.
        (
            [b",".join([LONG, *[b"k%d=" % n + b"x" * 97 for n in range(5)]])],
            ",".join(f"k{n}=" + "x" * 97 for n in range(5)),
        ),
        ([b",".join(b"k%d=" % n + b"x" * 97 for n in range(7))], ",".join(f"k{n}=" + "x" * 97 for n in range(5))),
    ],
)
def test_what_vendors_have_added_is_passed_on_where_it_is_well_formed(states: list[bytes | None], passed: str) -> None:
    assert read_trace([PARENT], states) == Trace(TRACE, "01", passed)


def test_a_call_is_a_span_of_its_own() -> None:
    span = new_span()
    assert re.fullmatch("[0-9a-f]{16}", span)
    assert int(span, 16)
    assert new_span() != span
    assert Trace(TRACE, "01").headers(span) == {"traceparent": f"00-{TRACE}-{span}-01"}
    assert Trace(TRACE, "01", "a=1").headers(span) == {"traceparent": f"00-{TRACE}-{span}-01", "tracestate": "a=1"}
