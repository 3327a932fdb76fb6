"""Plan to adapter: everything that is slow, large or can fail. Torch is imported only inside the executor."""
