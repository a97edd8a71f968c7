"""What the NiFi processors do, apart from NiFi: read content, ask a service, write the answer."""
