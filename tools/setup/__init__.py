"""Makes a checkout ready to run: Python environment, CometBFT, model A. Standard library only."""
