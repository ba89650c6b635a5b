"""The chain's modules, each with its own state, rules and handlers."""
