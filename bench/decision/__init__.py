"""A decision of the gate."""
