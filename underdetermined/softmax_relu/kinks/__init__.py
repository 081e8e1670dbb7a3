"""Kinks: the certificate of a local minimiser, and descent along kinks."""
