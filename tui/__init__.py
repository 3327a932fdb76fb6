"""What a person touches: the command line and the text UI. Torch is never imported here."""
