"""What is on a screen, piece by piece. Widgets show values and post messages; they decide nothing."""
