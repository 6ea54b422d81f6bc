"""Programs that print figures, each against a named baseline in the same run."""
