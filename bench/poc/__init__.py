"""What `docs/proof-of-compute.md` says, measured: shortcuts, verdicts, agreement of computations, speed."""
