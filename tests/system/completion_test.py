"""What bash completes for `tambo` is what the command says of itself, at every word."""
import os
import re
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "harness")]
from suite import ROOT  # noqa: E402

TAMBO = os.path.join(ROOT, "build", "release", "bin", "tambo")
COMPLETION = os.path.join(ROOT, "etc", "completion", "tambo")
EVERYWHERE = {"--help", "--config", "--json", "--tsv"}


def complete(*words):
    """What is offered for the last word."""
    script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tambo; ' \
             'printf "%s\\n" "${COMPREPLY[@]}"'
    result = subprocess.run(["bash", "-c", script, "bash", COMPLETION, "tambo", *words], text=True,
                            capture_output=True, timeout=60, check=True,
                            env={**os.environ, "PATH": os.path.dirname(TAMBO) + ":/usr/bin:/bin"})
    return set(result.stdout.split())


def describe(path):
    """The subcommands and options in the help of a command."""
    text = subprocess.run([TAMBO, *path, "--help"], text=True, capture_output=True, timeout=60,
                          check=True).stdout
    head, _, tail = text.partition("Subcommands:")
    return (set(re.findall(r"^  (\S+)", tail, re.M)),
            set(re.findall(r"^  (?:-\w,)?(--[\w-]+)", head, re.M)))


class Completion(unittest.TestCase):
    def walk(self, path):
        subcommands, options = describe(path)
        with self.subTest(command=" ".join(path)):
            if subcommands:
                self.assertEqual(complete(*path, ""), subcommands)
            self.assertEqual(complete(*path, "-"), options | EVERYWHERE)
        self.seen.append(path)
        for word in subcommands:
            self.walk([*path, word])

    def test_every_command(self):
        self.seen = []
        self.walk([])
        self.assertGreater(len(self.seen), 30)

    def test_words_between(self):
        self.assertEqual(complete("--config", "x", "--json", "us"), {"user"})
        self.assertEqual(complete("queue", "list", "--status", "de"), {"deferred"})
        self.assertEqual(complete("queue", "list", "--from", ""), set())
        self.assertEqual(complete("user", "show", "domain", "--q"), set())

    def test_keys(self):
        found = complete("config", "explain", "listen.smtp")
        self.assertEqual(found, {"listen.smtp"})
        self.assertIn("hostname", complete("config", "explain", ""))


if __name__ == "__main__":
    unittest.main(verbosity=2)
