"""Origin to Resource or Skipped: one file (or folder) for each origin."""
