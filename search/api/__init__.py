"""The search service over HTTP."""
