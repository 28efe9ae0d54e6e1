"""Tests of campaigns by hand: dry runs, working them off, and what came of them."""
