"""The codec: what is on the wire, and what it means."""
