"""The fastest way to train that fits: each combination of what is left open, timed, and the first that holds."""
