"""Tests of the conformance suite for transports."""
