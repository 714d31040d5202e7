"""Bytes of a media type to pages."""
