"""Handling of single pictures: decode, cache, compare, show."""
