"""The cases, one module per room of behaviour."""
