"""What the NiFi processors do, apart from NiFi: read content, ask a service, write the answer."""

from . import built_for

built_for.check()  # first of all: every processor imports something of this package
