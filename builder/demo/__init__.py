"""The whole loop on the bundled pictograms, offline: the same commands a user would type."""
