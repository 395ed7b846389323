"""How well the text of a sample fits its picture, as an embedding model sees it."""
