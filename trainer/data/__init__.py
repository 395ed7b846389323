"""A published version as rows of items, their images, and the batches drawn from them."""
