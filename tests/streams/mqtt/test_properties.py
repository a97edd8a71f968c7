"""The bytes of properties, held against paho's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from penstock.streams.mqtt.properties import About, Packed, about

# What MQTT allows as text (MQTT 5.0, 1.5.4).
_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs", "Cc")), max_size=300)


@given(
    st.builds(
        About,
        response_topic=_texts,
        correlation=st.binary(max_size=300),
        content_type=_texts,
        expiry=st.none() | st.integers(0, (1 << 32) - 1),
        user=st.lists(st.tuples(_texts, _texts), max_size=60).map(tuple),
    )
)
def test_paho_reads_what_is_written(told: About) -> None:
    packed = Packed(told).pack()
    read = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own has no types
    _, length = read.unpack(packed)  # type: ignore[no-untyped-call]
    assert length == len(packed)
    assert about(read) == told
