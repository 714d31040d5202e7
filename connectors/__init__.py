"""Everything between a source and the persona, in plain async Python."""
