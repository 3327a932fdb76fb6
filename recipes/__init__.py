"""Recipes to copy: one folder per domain. Data only, no logic."""
