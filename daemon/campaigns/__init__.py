"""Campaigns: lists of people that operators work through by hand, one after another."""
