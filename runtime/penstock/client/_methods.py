"""The gRPC methods that a client calls."""

from __future__ import annotations

from typing import Final

from ._call import Route

METHODS: Final = {
    Route.PREDICT: "/seldon.protos.Seldon/Predict",
    Route.FEEDBACK: "/seldon.protos.Seldon/SendFeedback",
    Route.METADATA: "/seldon.protos.Seldon/ModelMetadata",
    Route.READY: "/grpc.health.v1.Health/Check",
    Route.MODELS: "/inference.GRPCInferenceService/RepositoryIndex",
}
