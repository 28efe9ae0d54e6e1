"""The lives of things: their states, the legal moves between them, and nothing else.

No clock, no database, no network: a machine says what may follow what; the daemon owns time.
"""
