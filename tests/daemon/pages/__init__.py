"""The pages as documents: their words, their tones, their numbers."""
