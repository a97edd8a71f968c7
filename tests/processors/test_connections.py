"""Processors with equal settings share a client; the last one closes it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from penstock.processors.connections import Clients
from penstock.processors.settings import Connection
from penstock.proto import ServiceError, SetupError

from .conftest import ECHO

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.serving.conftest import Served


def test_one_client_for_equal_settings_closed_by_the_last_user(serve_source: Callable[..., Served]) -> None:
    clients, connection = Clients(), Connection(serve_source(ECHO).grpc)
    one, other, third = (clients.lease(each) for each in (connection, connection, Connection("127.0.0.1:1")))
    assert one.client is other.client
    assert one.client is not third.client
    third.give_back()
    one.give_back()
    one.give_back()  # twice is once
    assert other.client.predict("still here").value == "still here"
    other.give_back()
    assert len(clients) == 0
    with pytest.raises(ServiceError) as caught:
        other.client.predict("x")
    assert caught.value.code == "CLIENT_CLOSED"


def test_a_wrong_address_leaves_nothing_behind() -> None:
    clients = Clients()
    with pytest.raises(SetupError):
        clients.lease(Connection("ftp://nowhere"))
    assert len(clients) == 0


def test_threads_that_come_and_go_leave_nothing_behind() -> None:
    clients, connection = Clients(), Connection("127.0.0.1:1")

    def come_and_go() -> None:
        for _ in range(50):
            clients.lease(connection).give_back()

    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(clients) == 0
