"""The status stream over real sockets."""
