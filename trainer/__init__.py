"""Trains embedding models on published rows and measures them; importing it needs no torch."""
