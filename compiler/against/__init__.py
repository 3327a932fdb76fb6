"""What a recipe says against what was found: its model, the machine, the tokens and steps its data came to."""
