"""The rules: reading, both engines, verdicts."""
