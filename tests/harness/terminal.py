"""A command on a terminal of its own, with somebody who types."""
import os
import pty
import select
import signal
import time


def on_terminal(command, env, answers=(), seconds=60):
    """Runs it on a terminal of its own; each of answers is typed when its prompt shows, behind
    what the one before has answered.
    Returns (status, what the terminal showed)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, {**os.environ, **env})
    shown, answered, answers, deadline = b"", 0, list(answers), time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # EIO: the other end is closed
                break
            if not piece:
                break
            shown += piece
            if answers and answers[0][0] in shown[answered:].decode(errors="replace"):
                answered = len(shown)
                os.write(terminal, answers.pop(0)[1].encode() + b"\n")
        else:
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode(errors="replace")
