"""A whole Debian with its own systemd, booted for tests in a root folder of this machine."""
