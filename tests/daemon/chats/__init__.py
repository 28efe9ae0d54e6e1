"""Tests of chats: what comes of conversations and of messages."""
