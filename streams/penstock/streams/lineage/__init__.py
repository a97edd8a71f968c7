"""What became of a record: found in the topics of its streams by its puid or its trace, and told in order."""

from .events import Event, Looked, Step
from .search import Places, Story, trace

__all__ = ["Event", "Looked", "Places", "Step", "Story", "trace"]
