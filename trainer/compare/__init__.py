"""Trains on two versions or ablations alike and says which is better, and how sure that is."""
