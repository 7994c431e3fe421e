"""A module that cannot be imported, as a plug-in with a missing dependency cannot."""

raise ImportError("this plug-in needs quantum-annealer, which is not installed")
