"""The command line; it may import every other package, lazily."""
