"""Keeping a live fleet at its optimum: observe, learn, forecast, optimise, change little."""

from __future__ import annotations
