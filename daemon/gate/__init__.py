"""The gate: one message evaluated, from facts and rules to a decision and a permit."""
