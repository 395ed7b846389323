"""The embedded Hub's storage: repositories, trees, blobs and their history."""
