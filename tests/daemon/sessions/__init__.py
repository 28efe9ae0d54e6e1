"""Sessions: the actor, its words, its stored life."""
