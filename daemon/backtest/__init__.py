"""Backtests: what a candidate ruleset would have decided on past messages."""
