"""The simulated channel."""
