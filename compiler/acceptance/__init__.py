"""What an answer has to hold: tests without a model and without judgement, the same for base and tuned."""
