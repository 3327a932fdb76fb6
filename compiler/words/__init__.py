"""Keys, tables and values that the language does not have: what was meant, and how a recipe says it.

Only imported once something is wrong: a right recipe is checked without it.
"""
