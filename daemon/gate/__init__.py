"""The gate: evaluates one message, from facts and rules to a decision and a permit."""
