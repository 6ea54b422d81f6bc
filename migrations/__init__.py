"""Alembic migrations of the catalogue; each is safe for the version still running."""
