"""The compiler's only windows on the world: models, data sets, the machine, packages."""
