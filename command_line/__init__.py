"""What the three command lines share: how they end, and how they ask for an extra."""
