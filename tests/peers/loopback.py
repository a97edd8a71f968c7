"""``seldon-core-microservice`` on 127.0.0.1, run in its own environment with the arguments of the original command.

The command has no option for the address and listens on every interface. Two places decide: gunicorn's and Seldon's
own sockets are bound through ``socket.bind``, gRPC's through the server that ``get_grpc_server`` makes.
"""

import socket
from typing import Any

from seldon_core import microservice  # type: ignore[import-not-found]  # only in its own environment

_ANY = ("", "0.0.0.0")
_LOOPBACK = "127.0.0.1"
_bind = socket.socket.bind
_get_grpc_server = microservice.seldon_microservice.get_grpc_server


def bind(self: Any, address: Any) -> None:
    if self.family == socket.AF_INET and address[0] in _ANY:
        address = (_LOOPBACK, *address[1:])
    _bind(self, address)


def get_grpc_server(*args: Any, **kwargs: Any) -> Any:
    server = _get_grpc_server(*args, **kwargs)
    add = server.add_insecure_port
    server.add_insecure_port = lambda address: add(address.replace("0.0.0.0", _LOOPBACK))
    return server


socket.socket.bind = bind  # type: ignore[method-assign]  # replacing it is what this file is for
microservice.seldon_microservice.get_grpc_server = get_grpc_server
microservice.main()
