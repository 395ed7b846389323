"""Looks across rows: what repeats, and how varied the texts are."""
