"""Brings up what Penstock works with: programs that are fetched, checked, started, and stopped again."""
