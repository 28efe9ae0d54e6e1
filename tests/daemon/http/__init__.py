"""The doors over real sockets: who may come in, what they answer, and how it is described."""
