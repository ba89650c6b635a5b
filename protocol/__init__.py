"""What every process of Evergrid shares: generated messages and the pure functions that two processes must compute alike."""
