"""Hessians from a sample of rows."""
