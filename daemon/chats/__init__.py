"""Chats: who waits, what is answered, what comes of it, as one place of work for several people."""
