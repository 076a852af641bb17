"""A fuzz target of build/fuzz linked anew with some of its objects replaced, by the commands that ninja
has for them: planted.py and coverage.py need no build of their own."""
import json
import os
import shlex
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from campaign import ROOT  # noqa: E402

BUILD = os.path.join(ROOT, "build", "fuzz")
ENV = {**os.environ, "CCACHE_BASEDIR": ROOT, "CCACHE_NOHASHDIR": "1"}


def commands():
    """source, from the root -> the words that compile it"""
    with open(os.path.join(BUILD, "compile_commands.json")) as f:
        return {os.path.relpath(c["file"], ROOT): shlex.split(c["command"]) for c in json.load(f)}


def goes_into(words):
    """What stands in the link command for the object that words compile: its archive, or for a
    target's own source the object itself."""
    output = words[words.index("-o") + 1]
    folder = output.split("CMakeFiles/")[1].split("/")[0]
    return "lib" + folder[:-len(".dir")] + ".a" if folder.startswith("tambo_") or "_core." in folder else output


def compile_as(words, source, output):
    """As words say, but source instead of what stands last there, and to output."""
    words = ["ccache", *words[:-1], source]
    words[words.index("-o") + 1] = output
    subprocess.run(words, cwd=BUILD, check=True, env=ENV)


def link_words(target):
    printed = subprocess.run(["ninja", "-t", "commands", "-s", "bin/fuzz_" + target], cwd=BUILD, check=True,
                             text=True, stdout=subprocess.PIPE).stdout
    words = shlex.split(printed)
    return words[words.index(":") + 2:-2]  # : && ... && :


def link(target, objects, output, options=()):
    """objects: what goes_into() said -> objects. They stand before the libraries: the linker takes
    nothing from those that is there already."""
    words = link_words(target)
    at = words.index("-o")
    words[at + 1] = output
    mine = [o for into, group in objects.items() if into in words for o in group]
    words = [w for w in words if w not in objects or w.endswith(".a")]
    at = words.index("-o")
    subprocess.run([*words[:at], *mine, *options, *words[at:]], cwd=BUILD, check=True)
