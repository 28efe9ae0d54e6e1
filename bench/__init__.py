"""Measurements: ours against the usual alternatives, in rounds of A B A B, as ratios."""
