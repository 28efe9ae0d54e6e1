"""Alerts: what wakes a person, who is told, and what is said of it."""
