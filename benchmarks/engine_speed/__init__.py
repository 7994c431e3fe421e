"""How fast the engine is: python -m benchmarks.engine_speed."""
