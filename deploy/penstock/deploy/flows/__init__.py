"""Flow deployments: flows on a NiFi's canvas that were made from a template and are kept like the spec says."""

from __future__ import annotations

from penstock.deploy.flows._definition import Definition, clean, load, to_text

__all__ = ["Definition", "clean", "load", "to_text"]
