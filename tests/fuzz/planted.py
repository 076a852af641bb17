"""Would the campaigns find anything? An out-of-bounds read is planted into a copy of one parser after
the other, the fuzz target linked with it (ninja -C build/fuzz before), and run from the committed
corpus: it has to be found within a minute. Prints what it took."""
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import relink  # noqa: E402
from campaign import ROOT, committed, limits  # noqa: E402

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
    words = relink.commands()[source]
    relink.compile_as(words, copy, output + ".o")
    relink.link(target, {relink.goes_into(words): [output + ".o"]}, output)
    return output


def hunt(target, program):
    """(how long it took, what was printed)"""
    with tempfile.TemporaryDirectory(prefix="tambo-planted.") as grown:
        start = time.monotonic()
        done = subprocess.run(
            [program, grown, committed(target), *limits(target), "-max_total_time=%d" % SECONDS,
             "-artifact_prefix=" + grown + os.sep],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS + 120)
        return time.monotonic() - start, done.stdout.decode(errors="replace")


# What ends a campaign, the first that fits. UBSan may see a read before ASan does: libstdc++'s own
# assertions and the targets' abort() are libFuzzer's "deadly signal".
REPORTS = [
    r"ERROR: AddressSanitizer: (\S+)",
    r"(runtime error: .*)",
    r"(check failed: .*)",
    r"ERROR: (\w+Sanitizer: .*)",
    r"ERROR: libFuzzer: (deadly signal)",
]


def what_was_found(output):
    for report in REPORTS:
        said = re.search(report, output)
        if said:
            return said.group(1)
    return ""


def main():
    missed, times = [], []
    for target, source, edits in PLANTED:
        seconds, output = hunt(target, plant(target, source, edits))
        found = what_was_found(output)
        print("%-16s %-28s %s after %.1f s" % (target, source, found or "MISSED", seconds), flush=True)
        if not found or seconds > SECONDS:
            missed.append(target)
            print(output[-3000:])
        times.append(seconds)
    print("figures: %d of %d planted reads out of bounds found, the slowest after %.1f s"
          % (len(PLANTED) - len(missed), len(PLANTED), max(times)))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
