"""The list behind *Model name*: from the service, in the background, and never in the way."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from penstock.processors.model_names import ModelChoice, ModelLists, Names, check_answered
from penstock.processors.settings import Connection
from penstock.proto import ServiceError, Unavailable

from .conftest import ECHO

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serving.conftest import Served

HERE = Connection("127.0.0.1:1")


def heard(lists: ModelLists, connection: Connection) -> Names | None:
    """What is heard within a few seconds."""
    end = time.monotonic() + 10
    while lists.names(connection) is None and time.monotonic() < end:
        time.sleep(0.01)
    return lists.names(connection)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_the_service_itself_is_asked(serve_source: Callable[..., Served], protocol: str) -> None:
    lists, address = ModelLists(), getattr(serve_source(ECHO, "echo"), protocol)
    assert lists.names(Connection(address)) is None  # nobody waits for the answer
    assert heard(lists, Connection(address)) == ("echo",)


def test_asking_never_waits_and_is_done_once_at_a_time() -> None:
    answer, asked = threading.Event(), []

    def ask(connection: Connection) -> Names:
        asked.append(connection)
        answer.wait(10)
        return ("a",)

    lists = ModelLists(ask)
    for _ in range(100):
        assert lists.names(HERE) is None
    assert len(asked) <= 1
    answer.set()
    assert heard(lists, HERE) == ("a",)
    assert lists.names_now(HERE) == ("a",)
    assert len(asked) == 1


def test_nobody_answers() -> None:
    def ask(_: Connection) -> Names:
        raise Unavailable("down")

    lists = ModelLists(ask)
    assert lists.names_now(HERE) is None
    assert ModelChoice(lists).validated(HERE, "anything") is None


def choice_of(*names: str) -> ModelChoice:
    lists = ModelLists(lambda _: names)
    lists.names_now(HERE)
    return ModelChoice(lists)


def test_a_list_is_offered_once_after_each_validation() -> None:
    choice = choice_of("iris", "wine")
    assert choice.offered() is None  # not validated yet: the value is not known
    assert choice.validated(HERE, "iris") is None
    assert choice.offered() == ("iris", "wine")
    assert choice.offered() is None  # a property was changed since: any text, so that the next validation sees it


def test_a_name_that_is_not_in_the_list() -> None:
    choice = choice_of("iris", "wine")
    assert choice.validated(HERE, "beer") == "the service at 127.0.0.1:1 does not know 'beer'; there is iris, wine"
    assert choice.offered() is None  # else NiFi would never ask again


def test_no_name_yet() -> None:
    choice = choice_of("iris")
    assert choice.validated(HERE, None) == "choose a model: iris"
    assert choice.offered() == ("iris",)
    assert ModelChoice(ModelLists(lambda _: ())).validated(HERE, "") == "enter the name of the model"


def test_an_expression_is_not_judged() -> None:
    choice = choice_of("iris")
    assert choice.validated(HERE, "${model}") is None
    assert choice.offered() is None


@pytest.mark.parametrize(
    ("names", "answered", "is_wrong"),
    [
        (("iris",), "iris", True),  # the only one there, and not the one asked for
        (("wine", "iris"), "iris", True),
        (("wine",), "classifier", False),  # a unit of the graph of wine
        (("iris",), "", False),  # the service does not tell
        (("iris",), "wine", False),
    ],
)
def test_another_model_than_asked(names: Names, answered: str, is_wrong: bool) -> None:
    lists = ModelLists(lambda _: names)
    if not is_wrong:
        check_answered(lists, HERE, asked="wine", answered=answered)
        return
    with pytest.raises(ServiceError) as caught:
        check_answered(lists, HERE, asked="wine", answered=answered)
    assert caught.value.code == "WRONG_MODEL"
    assert not caught.value.retryable
