"""Frozen towers make features of texts and images; trainable heads make embeddings of those."""
