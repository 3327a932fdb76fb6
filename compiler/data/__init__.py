"""Rows to token ids and labels, in light code, with every row accounted for."""
