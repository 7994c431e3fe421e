"""Guests of fleetopt."""
