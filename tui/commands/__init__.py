"""One module per verb, each with a ``command``; loaded only when that verb is typed."""
