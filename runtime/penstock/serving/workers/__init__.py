"""One model served by several processes: a parent that accepts and watches, and workers that answer."""
