"""What runs on this machine really took, kept for the checks that come after them."""
