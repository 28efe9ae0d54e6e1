"""A WhatsApp of one test, on the loopback interface, for the unmodified linked-device library.

`server.VirtualWhatsApp` is where to begin; `faults` says what can go wrong. It is for tests only:
it knows nobody, and nothing that comes to it leaves the machine.
"""
