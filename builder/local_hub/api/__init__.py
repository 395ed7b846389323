"""The Hub's protocol: the handler of each address."""
