"""The coherence contract under fire: real sidecars, a real Redis, faults, and a judge. See README.md."""
