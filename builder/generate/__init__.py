"""Asks the model: client, pace, ledger, replies, the closed loop of rounds, batches."""
