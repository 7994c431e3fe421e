"""All queue models against the engine's simulation, by regime."""
