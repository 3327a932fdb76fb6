"""Whether this machine can do what recipes ask for: looked at from outside, nothing heavy is imported."""
