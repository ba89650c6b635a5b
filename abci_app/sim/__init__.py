"""The simulator: the chain's own code on a store in memory, driven by a scenario instead of a network."""
