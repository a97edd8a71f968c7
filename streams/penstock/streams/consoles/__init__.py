"""Work with topics by hand: what there is, write to them, read them, and how far behind their readers are."""

from .consuming import Reading, consume
from .lag import Lag, lags
from .listing import Topic, create_topic, delete_topic, topics
from .producing import Form, Readable, Sent, produce, readable

__all__ = [
    "Form",
    "Lag",
    "Readable",
    "Reading",
    "Sent",
    "Topic",
    "consume",
    "create_topic",
    "delete_topic",
    "lags",
    "produce",
    "readable",
    "topics",
]
