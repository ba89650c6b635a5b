"""The chain: a Python ABCI 2.0 application behind CometBFT."""
