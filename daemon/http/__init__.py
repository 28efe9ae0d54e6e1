"""The doors of the daemon: one file for each resource, and what they share."""
