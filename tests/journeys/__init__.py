"""Whole ways through the real daemon, as its people walk them."""
