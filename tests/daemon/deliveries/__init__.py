"""Tests of `daemon/deliveries`."""
