"""Benchmarks of the chain, its store and the MLNode."""
