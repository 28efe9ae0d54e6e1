"""Tests of phone numbers: budgets, breaker, bans."""
