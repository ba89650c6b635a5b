"""What all processes share: generated messages, and pure functions that two of them must compute alike."""
