"""Helpers of the tests: an injected clock, the services, clients, transports and processes."""
