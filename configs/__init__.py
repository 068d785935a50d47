"""Configuration: YAML files, `compose` (command line → checked dictionary), `build` (→ objects)."""
