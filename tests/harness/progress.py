"""What a --full run of a long test has done, so that the next one goes on there if it is interrupted,
and what has failed in it, which a next one does not make good.

It counts for the same commit with nothing changed and the same TAMBO_SEED; otherwise everything is
run again, and so it is behind a whole run without a failure.
"""
import json
import os
import subprocess
import threading
import urllib.parse

from suite import ROOT


def git(*args):
    return subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True).stdout.strip()


class Progress:
    def __init__(self, test, directory=os.path.join(ROOT, "build"), commit=None):
        """test: names the file in the directory. commit: if not the one that is checked out, and
        kept in any case."""
        seed = urllib.parse.quote(os.environ.get("TAMBO_SEED", ""), safe="")
        self.path = os.path.join(directory, ".".join(filter(None, (test, seed, "json"))))
        self.lock = threading.Lock()
        self.commit = commit or git("rev-parse", "HEAD")
        self.kept = bool(commit) or (bool(os.environ.get("TAMBO_FULL"))
                                     and not git("status", "--porcelain", "--untracked-files=no"))
        self.done, self.failed = {}, {}
        if self.kept and os.path.exists(self.path):
            with open(self.path) as f:
                state = json.load(f)
            if state["commit"] == self.commit:
                self.done, self.failed = state["done"], state.get("failed", {})

    def get(self, part, default):
        """What put() was given last for this part of the test."""
        with self.lock:
            return self.done.get(part, default)

    def put(self, part, state):
        """state: anything that JSON can hold. Any thread may call."""
        with self.lock:
            self.done[part] = state
            self._write()

    def fail(self, part, text):
        """Until the commit is another one or somebody removes the file, this part has failed."""
        with self.lock:
            self.failed.setdefault(part, []).append(text)
            self._write()

    def failures(self, part):
        """Of this run and of those before it that it goes on with."""
        with self.lock:
            return list(self.failed.get(part, []))

    def finish(self, parts):
        """The run has come to its end, and these parts of it are complete: unless something has
        failed, the next run does them again."""
        with self.lock:
            if self.failed:
                return
            for part in parts:
                self.done.pop(part, None)
            self._write()

    def _write(self):
        if not self.kept:
            return
        if not self.done and not self.failed:
            if os.path.exists(self.path):
                os.unlink(self.path)
            return
        with open(self.path + ".new", "w") as f:
            json.dump({"commit": self.commit, "done": self.done, "failed": self.failed}, f)
        os.replace(self.path + ".new", self.path)
