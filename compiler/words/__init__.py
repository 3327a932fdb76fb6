"""Keys, tables and values that the language does not have: what was meant, and how a recipe says it.

But for ``spelling.py``, which everybody compares names with, it is imported only once something is wrong.
"""
