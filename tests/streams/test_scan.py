"""A topic read from end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from penstock.streams.scan import Scan
from penstock.streams.spec import Kafka

if TYPE_CHECKING:
    from .conftest import Cluster

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka")]


@pytest.mark.parametrize("value", [b"", None])
def test_records_without_a_value_are_records(cluster: Cluster, value: bytes | None) -> None:
    name = cluster.create(f"scan-{uuid4().hex[:8]}", 3)
    for partition in range(3):
        cluster.send(name, value, b"k", partition=partition)
    cluster.flush()
    with Scan(Kafka(bootstrap=cluster.address), name) as scan:
        assert sorted((record.partition, record.key, record.value) for record in scan) == [
            (partition, b"k", value) for partition in range(3)
        ]
