"""The history of a former system: what it sent and was answered, imported before the first send."""
