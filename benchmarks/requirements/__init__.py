"""The requirements of an inference engine, one by one: evidence, figures, and where they hold."""
