"""Plain lines without a terminal, a bar on one."""

import io

from rlkit.run.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_plain_lines_come_at_intervals_and_at_evaluations():
    stream, now = io.StringIO(), [0.0]
    progress = Progress(1000, stream=stream, clock=lambda: now[0], start_steps=200)
    for second in range(1, 13):
        now[0] = float(second)
        progress.update(200 + 20 * second, sim_seconds=second * 2.0)
    progress.update(440, sim_seconds=24.0, result="return -12.5")
    progress.close()
    assert stream.getvalue().splitlines() == [
        "400 of 1,000 env steps, 20 s simulated, 20 steps/s, 30 s left",
        "440 of 1,000 env steps, 24 s simulated, return -12.5, 20 steps/s, 28 s left",
    ]


def test_a_terminal_gets_a_bar():
    stream = Terminal()
    progress = Progress(1000, stream=stream)
    progress.update(500, sim_seconds=25.0, result="return 3")
    progress.update(1000, sim_seconds=50.0)
    progress.close()
    last = stream.getvalue().rstrip().split("\r")[-1]
    assert "100%" in last
    assert "50 s simulated, return 3" in last


def test_nothing_goes_to_standard_output(capsys):
    progress = Progress(10)
    progress.update(10, sim_seconds=1.0, result="return 0")
    progress.close()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("10 of 10 env steps")
