"""Fewer trips between the Python process and the JVM: each costs 0.2 to 0.5 ms.

Three things take most of them, and each is put together here (py4j 0.10.9, as NiFi 2.0 to 2.9 bring it):

1. What is asked of a FlowFile, its content and some attributes: all questions are written at once, then the answers
   are read. Java answers them in order, as it would one by one.
2. The attributes of a result: NiFi's own way takes three trips to look HashMap up, one to make it, and one for each
   attribute. ``java.util.Map.of`` takes all in one.
3. Java objects that Python has done with: py4j tells Java so in a trip for each. Here that waits for the next 1.

Where anything looks different than expected, the plain calls are made.

A fourth is saved where the processors are: NiFi asks for a processor's relationships at every FlowFile in some of its
runs, and makes the Java set of them again in some 25 trips unless it gets the very objects of the time before.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from penstock.proto import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST_PAIRS: Final = 10  # of Map.of
_MOST_SPENT: Final = 8  # objects given back in one trip


class JavaCalls:
    """Talks to the JVM for one processor; for any number of threads.

    Args:
        jvm: py4j's view of the JVM.
        together: whether questions may be written together. Only where replies are acknowledged at once
            (`penstock.processors.quick_replies`): else Nagle's algorithm would hold the second reply back.
    """

    def __init__(self, jvm: Any, *, together: bool) -> None:
        self._jvm = jvm
        self._map_of = _map_of(jvm)
        self._together = together
        self._spent: deque[Any] = deque()

    def read(self, flowfile: Any, names: Sequence[str], most: int | None = None) -> tuple[bytes, list[str | None]]:
        """The content of a FlowFile, and the attributes of these names.

        Content is held in memory several times over, here and in the JVM, which may end for want of it. ``most``
        bytes are read; the size is then asked for before the content, in a trip more.

        Raises:
            LimitError: there are more bytes than ``most``.
        """
        content, wanted = ("getContentsAsBytes", ""), [("getAttribute", name) for name in names]
        if most is None:
            (data, *values) = self._ask(flowfile, [content, *wanted])
        else:
            (size, *values) = self._ask(flowfile, [("getSize", ""), *wanted])
            Limits(message_bytes=most).check_bytes(size)
            (data,) = self._ask(flowfile, [content])
        if self._together:
            self._spent.append(flowfile)
        return data, values

    def _ask(self, flowfile: Any, calls: Sequence[tuple[str, str]]) -> list[Any]:
        if self._together:
            return _ask(flowfile, calls, self._take_spent())
        return [getattr(flowfile, method)(*([text] if text else [])) for method, text in calls]

    def java_map(self, attributes: Mapping[str, str]) -> Any:
        """The attributes as a Java map."""
        if self._map_of is None or len(attributes) > _MOST_PAIRS:
            java_map = self._jvm.java.util.HashMap()
            for name, value in attributes.items():
                java_map.put(name, value)
            return java_map
        java_map = self._map_of(*(text for pair in attributes.items() for text in pair))
        if self._together:
            self._spent.append(java_map)
        return java_map

    def _take_spent(self) -> list[Any]:
        taken: list[Any] = []
        while len(taken) < _MOST_SPENT:
            try:
                taken.append(self._spent.popleft())
            except IndexError:
                break
        return taken


def _map_of(jvm: Any) -> Any:
    try:
        return jvm.java.util.Map.of  # looked up in three trips, once
    except Exception:
        return None


def _ask(target: Any, calls: Sequence[tuple[str, str]], spent: Sequence[Any]) -> list[Any]:
    """The answers to methods of ``target`` with one text each (none where it is empty), in one trip.

    ``spent`` objects are given back on the way.
    """
    from py4j import protocol  # type: ignore[import-not-found]

    client, identity = target._gateway_client, target._get_object_id()
    commands = [_give_back(each, protocol) for each in spent]
    for method, text in calls:
        argument = protocol.get_command_part(text) if text else ""
        commands.append(f"{protocol.CALL_COMMAND_NAME}{identity}\n{method}\n{argument}{protocol.END_COMMAND_PART}")
    answers = _exchange(client, "".join(commands), len(commands))[len(spent) :]
    return [
        protocol.get_return_value(answer, client, identity, method)
        for answer, (method, _) in zip(answers, calls, strict=True)
    ]


def _give_back(spent: Any, protocol: Any) -> str:
    from py4j.finalizer import ThreadSafeFinalizer  # type: ignore[import-not-found]

    client, identity = spent._gateway_client, spent._get_object_id()
    # Else py4j would give it back once more, in a trip of its own.
    ThreadSafeFinalizer.remove_finalizer(f"{client.address}{client.port}{identity}")
    return f"{protocol.MEMORY_COMMAND_NAME}{protocol.MEMORY_DEL_SUBCOMMAND_NAME}{identity}\n{protocol.END_COMMAND_PART}"


def _exchange(client: Any, commands: str, count: int) -> list[str]:
    connection = client._get_connection()
    try:
        connection.quicken()
        connection.socket.sendall(commands.encode())
        answers = [_answer(connection.stream.readline()) for _ in range(count)]
    except BaseException:
        connection.close(reset=True)  # what is left on it would be taken for the answer of the next call
        raise
    client._give_back_connection(connection)
    return answers


def _answer(line: bytes) -> str:
    if not line.endswith(b"\n"):
        raise ConnectionError("NiFi has closed the connection to its Python process")
    return line[:-1].decode().removeprefix("!")
