"""./dev wiring [--check]: the picture of the daemons in README.md, drawn from master's table."""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BEGIN, END = "<!-- BEGIN wiring (./dev wiring) -->\n", "<!-- END wiring -->\n"


def picture():
    for preset in ("release", "dev"):
        master = os.path.join(ROOT, "build", preset, "bin", "master")
        if os.path.exists(master):
            return subprocess.run([master, "--print-wiring"], check=True, text=True,
                                  stdout=subprocess.PIPE).stdout
    sys.exit("no master is built: ./dev build")


def main():
    path = os.path.join(ROOT, "README.md")
    with open(path) as f:
        text = f.read()
    if BEGIN not in text or END not in text:
        sys.exit("README.md lacks the lines\n" + BEGIN + END)
    drawn = re.sub(re.escape(BEGIN) + ".*" + re.escape(END),
                   lambda _: BEGIN + picture() + END, text, flags=re.S)
    if drawn == text:
        return 0
    if "--check" in sys.argv[1:]:
        print("README.md shows an old picture: ./dev wiring", file=sys.stderr)
        return 1
    with open(path, "w") as f:
        f.write(drawn)
    return 0


sys.exit(main())
