"""The compiler's windows on models, GPUs, the machine and packages; data sets have a room of their own, ``data/``."""
