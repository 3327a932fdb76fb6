"""Rows to token ids and labels, in light code, with every row accounted for: the only reader of a recipe's data."""
