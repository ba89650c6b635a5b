"""Keyring, signer, transaction builder and chain client."""
