"""One fuzz target for some minutes: campaign.py TARGET [SECONDS], after ninja -C build/fuzz. Without
SECONDS: TAMBO_FUZZ_SECONDS of the environment, or 300.

It begins with what is committed and what earlier campaigns left in build/corpus. What reaches code
that nothing committed reaches is added to tests/fuzz/corpus. A finding ends the campaign; its
input stays in build/findings. Prints one line of figures.

campaign.py --watch TARGET [SECONDS] only fuzzes, and shows what libFuzzer says (./dev fuzz).
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FULL_SECONDS = 300  # what counts as a campaign
SECONDS = int(os.environ.get("TAMBO_FUZZ_SECONDS", FULL_SECONDS))
INPUT_BYTES = 4096  # at most, unless a seed is longer


def program(target):
    return os.path.join(ROOT, "build", "fuzz", "bin", "fuzz_" + target)


def committed(target):
    return os.path.join(ROOT, "tests", "fuzz", "corpus", target)


def limits(target):
    sizes = [os.path.getsize(os.path.join(committed(target), name))
             for name in os.listdir(committed(target))]
    # By the clock on the wall: on a busy machine an input of a millisecond may well wait a minute for
    # its turn. tests/linear sees what is slow, this one only what hangs.
    return ["-timeout=300", "-rss_limit_mb=2048", "-max_len=%d" % max([INPUT_BYTES, *sizes])]


def dictionary(target):
    """The words of its folder, if they are written down."""
    path = os.path.join(ROOT, "tests", "fuzz", target.split("_")[0] + ".dict")
    return ["-dict=" + path] if os.path.exists(path) else []


def directories(target):
    """(what is committed, what campaigns found, where findings go): they are there."""
    found = [committed(target), os.path.join(ROOT, "build", "corpus", target),
             os.path.join(ROOT, "build", "findings", target)]
    for path in found:
        os.makedirs(path, exist_ok=True)
    return found


def command(target, seconds):
    seeds, grown, findings = directories(target)
    return [program(target), grown, seeds, *limits(target), *dictionary(target),
            "-max_total_time=%d" % seconds, "-print_final_stats=1", "-artifact_prefix=" + findings + os.sep]


def fuzz(target, seconds):
    """(no finding, what was printed)"""
    done = subprocess.run(
        command(target, seconds), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds + 600)
    return done.returncode == 0, done.stdout.decode(errors="replace")


def keep(target):
    """Adds what reaches new edges to the committed corpus. How often an edge is taken does not count:
    the corpus stays small."""
    seeds, grown, _ = directories(target)
    subprocess.run([program(target), "-merge=1", "-use_counters=0", *limits(target), seeds, grown], cwd=ROOT,
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=900)


def figures(target, output):
    stat = lambda name: int((re.findall(r"^stat::%s: *(\d+)" % name, output, re.M) or ["0"])[-1])
    edges = (re.findall(r" cov: (\d+)", output) or ["0"])[-1]
    files = [os.path.getsize(os.path.join(committed(target), name))
             for name in os.listdir(committed(target))]
    return "%d runs, %d/s, %s edges, corpus %d files %d KiB" % (
        stat("number_of_executed_units"), stat("average_exec_per_sec"), edges, len(files),
        (sum(files) + 1023) // 1024)


def main():
    words = sys.argv[1:]
    watch = words[0] == "--watch"
    target, *rest = words[watch:]
    seconds = int(rest[0]) if rest else SECONDS
    if watch:
        os.chdir(ROOT)
        os.execv(program(target), command(target, seconds))
    good, output = fuzz(target, seconds)
    if good:
        keep(target)
    else:
        print(output[-5000:])
    print("figures: %s, %s" % (figures(target, output), "no finding" if good else "A FINDING"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
