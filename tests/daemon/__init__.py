"""The daemon: gate, outbox, sessions, plugins and doors."""
