"""The commands of `python -m curation_app`, one file each."""
