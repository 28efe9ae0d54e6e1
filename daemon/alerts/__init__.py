"""Alerts: what wakes a person, who is notified, and the program that tells them."""
