"""One module for each screen. A screen starts workers, takes their messages, and hands values to its widgets."""
