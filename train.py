"""Train an agent: `python train.py agent=dau env=pendulum dt=0.002`; `--help` lists the options.

Exit codes: 0 done, 1 the run failed, 2 the configuration is wrong (nothing is written then).
The last line on standard output is `run: <folder>`.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Any

from configs.compose import compose_train, resume_train
from configs.help import help_text
from rlkit.options import ConfigError


def main(arguments: list[str]) -> int:
    """Trains as the command line says; returns the exit code."""
    if {"-h", "--help"} & set(arguments):
        words = [a for a in arguments if not a.startswith("-")]
        print(help_text("train", words))
        return 0
    resumed = next((a.partition("=")[2] for a in arguments if a.startswith("resume=")), None)
    if resumed:
        config, folder = resume_train(Path(resumed), arguments), Path(resumed)
    else:
        config, folder = compose_train(arguments), None
    print(f"run: {train(config, folder)}")
    return 0


def train(config: dict[str, Any], resume: Path | None = None) -> Path:
    """Builds and runs a checked configuration; returns the run folder."""
    from configs import build
    from configs.stages import resolve, stages_of
    from rlkit.run.checkpoint import load_checkpoint
    from rlkit.run.folder import new_folder, write_description
    from rlkit.run.session import Session
    from rlkit.seeding import one_thread, seed_everything

    one_thread()
    seeds = seed_everything(config["seed"])
    config = config | {"resolved": resolve(config)}
    checkpoint, first = None, 0
    if resume is not None:
        checkpoint, _ = load_checkpoint(resume / "checkpoints", "last")
        build.check_budget(config, checkpoint)
        first = checkpoint["training"].get("stage", 0)
    first_stage, *later = stages_of(config)[first:]
    part = build.make_part(config, first_stage, seeds)
    config = build.decided(config, part.loop.agent)
    folder = resume or new_folder(config)
    write_description(folder, config, sys.argv)
    session = Session(folder, config, part)
    session.run(later, partial(build.make_part, config, seeds=seeds), checkpoint)
    return folder


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ConfigError as error:
        print(f"train.py: {error}", file=sys.stderr)
        sys.exit(2)
