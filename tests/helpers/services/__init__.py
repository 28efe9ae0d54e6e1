"""Real services over a real database, with a file for each service."""
