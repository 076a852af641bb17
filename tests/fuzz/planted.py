"""Would the campaigns find anything? An out-of-bounds read is planted into a copy of one parser after
the other, the fuzz target linked with it (ninja -C build/fuzz before), and run from the committed
corpus: AddressSanitizer has to complain within a minute. Prints what it took."""
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from campaign import LIMITS, ROOT, committed  # noqa: E402

BUILD = os.path.join(ROOT, "build", "fuzz")
SECONDS = 60

# target, source, what stands there, what stands there instead
PLANTED = [
    ("smtp_data", "common/smtp/data.cc", [
        ("cr + 1 < in.size() && in[cr + 1] == '\\n'", "in.data()[cr + 1] == '\\n'")]),
    ("smtp_command", "common/smtp/xtext.cc", [
        ("text.substr(i + 1, 2);", "std::string_view(text.data() + i + 1, 2);")]),
    ("dnsd_answer", "dnsd/packet.cc", [
        ("packet_.size() - at_ < count", "packet_.size() < count"),
        ("packet_.substr(at_, count);", "std::string_view(packet_.data() + at_, count);")]),
    ("imap_mutf7", "imapd/session/mutf7.cc", [
        ("if (!in.accept('-'))", "if (*in.rest().data() != '-' || !in.accept('-'))")]),
    ("pop3_multiline", "pop3d/session/multiline.cc", [
        ("if (part.size() > 1) last_ = part[part.size() - 2];",
         "last_ = part.data()[part.size() - 2];")]),
]


def compile_with(source, copy, output):
    with open(os.path.join(BUILD, "compile_commands.json")) as f:
        commands = {os.path.relpath(c["file"], ROOT): c for c in json.load(f)}
    words = shlex.split(commands[source]["command"])
    words[words.index("-o") + 1] = output
    words[words.index(os.path.join(ROOT, source))] = copy
    subprocess.run(words, cwd=BUILD, check=True)


def link_with(target, planted, output):
    """The planted object stands before the libraries: the linker takes nothing from them that is
    there already."""
    program = "bin/fuzz_" + target
    printed = subprocess.run(["ninja", "-t", "commands", "-s", program], cwd=BUILD, check=True, text=True,
                             capture_output=True).stdout
    words = shlex.split(printed)
    words = words[words.index(":") + 2:] if words[0] == ":" else words
    words = words[:words.index("&&")] if "&&" in words else words
    at = words.index("-o")
    words[at + 1] = output
    words.insert(at, planted)
    subprocess.run(words, cwd=BUILD, check=True)


def plant(target, source, edits):
    """Returns the program."""
    with open(os.path.join(ROOT, source)) as f:
        text = f.read()
    for old, new in edits:
        assert text.count(old) == 1, (source, old)
        text = text.replace(old, new)
    top = os.path.join(ROOT, "build", "planted")
    os.makedirs(top, exist_ok=True)
    copy, output = os.path.join(top, target + ".cc"), os.path.join(top, target)
    with open(copy, "w") as f:
        f.write(text)
    compile_with(source, copy, output + ".o")
    link_with(target, output + ".o", output)
    return output


def hunt(target, program):
    """(how long it took, what was printed)"""
    with tempfile.TemporaryDirectory(prefix="tambo-planted.") as grown:
        start = time.monotonic()
        done = subprocess.run(
            [program, grown, committed(target), *LIMITS, "-max_total_time=%d" % SECONDS,
             "-artifact_prefix=" + grown + os.sep],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS + 120)
        return time.monotonic() - start, done.stdout.decode(errors="replace")


def main():
    missed, times = [], []
    for target, source, edits in PLANTED:
        seconds, output = hunt(target, plant(target, source, edits))
        found = "ERROR: AddressSanitizer: " in output and os.path.basename(source)[:-3] in output
        where = re.search(r"AddressSanitizer: (\S+)", output)
        print("%-16s %-28s %s after %.1f s" % (target, source, where.group(1) if found else "MISSED",
                                               seconds), flush=True)
        if not found or seconds > SECONDS:
            missed.append(target)
            print(output[-3000:])
        times.append(seconds)
    print("figures: %d of %d planted reads out of bounds found, the last after %.1f s"
          % (len(PLANTED) - len(missed), len(PLANTED), max(times)))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
