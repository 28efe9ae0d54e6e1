"""A backtest over stored decisions."""
