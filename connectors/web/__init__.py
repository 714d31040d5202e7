"""Being a polite and safe client of other people's sites."""
