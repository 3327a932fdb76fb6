"""What a run needs before it starts: memory, time and money. Pure functions of a ``Work``; no torch."""
