"""Backtest: a candidate ruleset over past decisions."""
