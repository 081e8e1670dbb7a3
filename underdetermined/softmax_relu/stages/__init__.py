"""Smooth stages: trust-region steps, the continuation that makes kinks of them, and batches."""
