"""The rules asked again about what was decided: why, what if, and what others would say."""
