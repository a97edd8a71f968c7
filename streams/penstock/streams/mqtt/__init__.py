"""MQTT: the same models at request and reply topics, one pair for each tenant."""

from .client import Client, Reply
from .settings import ClientSettings, ServerSettings
from .settings_file import load_client, load_server
from .worker import Worker

__all__ = ["Client", "ClientSettings", "Reply", "ServerSettings", "Worker", "load_client", "load_server"]
