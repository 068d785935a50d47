"""Sequence tasks: data to predict, without actions (`envs.make_task`).

base.py       the contract: batches of sequences and streams, from NumPy generators
symbols.py    streams of characters: three_states_world.py, brackets.py
the others    one task, or a task and its variant, a file
"""

SEQUENCES = {
    "adding": "envs.sequence.adding:Adding",
    "anbn": "envs.sequence.brackets:AnBn",
    "characters": "envs.sequence.characters:Characters",
    "copying": "envs.sequence.copying:Copying",
    "distant_brackets": "envs.sequence.brackets:DistantBrackets",
    "padding": "envs.sequence.warping:Padding",
    "pixel_digits": "envs.sequence.pixel_digits:PixelDigits",
    "three_states_world": "envs.sequence.three_states_world:ThreeStatesWorld",
    "trace_conditioning": "envs.sequence.trace_conditioning:TraceConditioning",
    "variable_copying": "envs.sequence.copying:VariableCopying",
    "warping": "envs.sequence.warping:Warping",
}
"""Registered name → task; a part of `envs.ENVS`."""
