"""Code that travels with an exported model: it imports nothing of ours but `schemas.pictures`."""
