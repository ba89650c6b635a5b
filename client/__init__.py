"""What stands between a person or an API node and the chain: keys, signing, transactions, queries."""
