"""Discovery of plugins: records, hooks, the loader and the look-up by name. Imports no JAX."""
