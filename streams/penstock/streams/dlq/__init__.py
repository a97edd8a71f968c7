"""Dead letters, afterwards: look at them, write their records again, forget them. Each is handled once.

What has been handled is in a ledger, a small compacted topic beside the dead letters, written in the same transaction
as the record itself. So whatever is in the ledger has happened, and what is not there has not.
"""

from .ledger import Entry, read_ledger
from .letters import Letter, letter_of
from .purge import Purged, purge
from .replay import Replayed, replay
from .selection import Filter, Selected, select

__all__ = [
    "Entry",
    "Filter",
    "Letter",
    "Purged",
    "Replayed",
    "Selected",
    "letter_of",
    "purge",
    "read_ledger",
    "replay",
    "select",
]
