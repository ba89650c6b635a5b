"""The worker of a node owner: computes Proof of Compute and serves inference."""
