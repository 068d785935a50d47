"""rlkit: agents whose memory is a plug.

This package is the library (memories, networks, replay, loops); it imports neither `agents` nor
`envs`. Importing it costs nothing: torch is loaded by the modules that need it.
"""

__version__ = "0.1.0"
