"""The demonstration: the whole product on simulated phones, in a throw-away folder."""
