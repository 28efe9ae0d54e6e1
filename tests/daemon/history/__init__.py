"""The history of a former system."""
