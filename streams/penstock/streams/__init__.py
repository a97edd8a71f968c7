"""Streams: records of a topic, answered by a model, in another topic. What a stream does is a short TOML file."""

from .spec import Batch, Kafka, Security, Service, Sink, Source, Stream
from .spec_file import load_stream

__all__ = [
    "Batch",
    "Kafka",
    "Security",
    "Service",
    "Sink",
    "Source",
    "Stream",
    "load_stream",
]
