"""The recipe language: what a recipe may say, how its text becomes values with places, and how these are judged."""
