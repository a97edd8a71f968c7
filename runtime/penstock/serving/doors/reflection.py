"""gRPC's server reflection, what tools such as grpcurl ask first.

Version 1 and the older v1alpha have the same messages under two names; both are served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from .grpc_streams import StreamCall, StreamHandler

NAME: Final = "grpc.reflection.v1alpha.ServerReflection"
_PATHS: Final = (f"/{NAME}/ServerReflectionInfo", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")


def reflection_streams(names: Collection[str]) -> dict[str, StreamHandler]:
    """The one method, under both names; ``names`` are the services that it lists."""

    async def answer(call: StreamCall) -> None:
        # Asked by a person now and then, so nobody else pays for its import.
        from .reflection_answers import answer_to, describe

        describe()
        while (message := await call.receive()) is not None:
            call.send(answer_to(message, sorted(names)))

    return dict.fromkeys(_PATHS, answer)
