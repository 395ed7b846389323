"""Asks the models for samples, round after round, until the wanted shares are met."""
