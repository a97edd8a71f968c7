"""The doors: each protocol reads bytes, calls the service, and writes bytes."""
