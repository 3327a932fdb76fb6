"""Mending a recipe's text: the edits that diagnostics offer, and applying the certain ones until none is left."""
