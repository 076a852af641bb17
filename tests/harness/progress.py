"""What an interrupted --full run of a long test has done, so that the next one goes on there. It
counts for the same commit with nothing changed; otherwise everything is run again.
"""
import json
import os
import subprocess
import threading

from suite import ROOT


class Progress:
    def __init__(self, test):
        """test: names the file, below build/."""
        self.path = os.path.join(ROOT, "build", test + ".json")
        self.lock = threading.Lock()
        git = lambda *args: subprocess.run(["git", *args], cwd=ROOT, capture_output=True,
                                           text=True).stdout.strip()
        self.commit = git("rev-parse", "HEAD")
        self.kept = (bool(os.environ.get("TAMBO_FULL"))
                     and not git("status", "--porcelain", "--untracked-files=no"))
        self.done = {}
        if self.kept and os.path.exists(self.path):
            with open(self.path) as f:
                state = json.load(f)
            if state["commit"] == self.commit:
                self.done = state["done"]

    def get(self, part, default):
        """What put() was given last for this part of the test."""
        with self.lock:
            return self.done.get(part, default)

    def put(self, part, state):
        """state: anything that JSON can hold. Any thread may call."""
        with self.lock:
            self.done[part] = state
            if not self.kept:
                return
            with open(self.path + ".new", "w") as f:
                json.dump({"commit": self.commit, "done": self.done}, f)
            os.replace(self.path + ".new", self.path)
