"""Grid worlds: the rules and observations of the MiniGrid package, batched.

cells.py      a cell as one number
grid.py       what an action does, and what an agent sees, on arrays over all copies
batched.py    the vector environment; single.py one copy of it
layouts/      the tasks: how an episode begins and ends, one family a file
generic.py    `env=minigrid env.id=…`: any id, batched where its layout is here
"""

LAYOUTS = {
    "minigrid_doorkey": "envs.minigrid.layouts.doorkey:DoorKey",
    "minigrid_key_corridor": "envs.minigrid.layouts.key_corridor:KeyCorridor",
    "minigrid_lava_crossing": "envs.minigrid.layouts.crossing:LavaCrossing",
    "minigrid_memory": "envs.minigrid.layouts.memory:Memory",
    "minigrid_red_blue_doors": "envs.minigrid.layouts.red_blue_doors:RedBlueDoors",
    "minigrid_simple_crossing": "envs.minigrid.layouts.crossing:SimpleCrossing",
    "minigrid_unlock": "envs.minigrid.layouts.unlock:Unlock",
    "minigrid_unlock_pickup": "envs.minigrid.layouts.unlock_pickup:UnlockPickup",
}
"""Registered name → layout; a part of `envs.ENVS`."""
