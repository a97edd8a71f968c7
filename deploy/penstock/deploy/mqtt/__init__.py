"""An MQTT broker on this machine, for as long as it is used: mosquitto, or amqtt where there is no mosquitto."""

from __future__ import annotations

from penstock.deploy.mqtt._borrowed import broker
from penstock.deploy.mqtt._broker import Broker
from penstock.deploy.mqtt._mosquitto import Security

__all__ = ["Broker", "Security", "broker"]
