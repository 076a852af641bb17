"""Runs all tests: ./dev test [--full] [REGEX]. Prints progress, then one closing line.

Groups in order: tidy, docs, unit, release, sandbox, fuzz (replay of the corpora; with --full also
campaigns, coverage and planted bugs), with --full linear, system, interop, crash. A test file of
system, interop or crash is a unittest module; programs and files run two at a time, those of crash
one.
"""
import argparse
import concurrent.futures
import glob
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "fuzz"))
import campaign as fuzz_campaign  # noqa: E402

SLOW = ("smtpd", "relayd", "imap_session", "imapd")


class Totals:
    passed = failed = skipped = 0
    failures = []
    reasons = {}


# What campaigns themselves write is no change of what they test.
WRITTEN = ("tests/CAMPAIGNS.md", "tests/fuzz/corpus")


def git(*args):
    return subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True).stdout.strip()


def sources(commit):
    """What stands for the sources of commit; "" if it is not known here."""
    tree = git("ls-tree", "-r", commit).splitlines()
    kept = [row for row in tree if not row.split("\t")[1].startswith(WRITTEN)]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest() if kept else ""


class Campaign:
    """What ./dev test --full has done with these sources: it can be interrupted and goes on where it
    was. Figures go to tests/CAMPAIGNS.md, whose rows say it for fuzz campaigns wherever they ran."""

    def __init__(self):
        self.commit = git("rev-parse", "--short=12", "HEAD")
        self.sources = sources("HEAD")
        self.clean = not git("status", "--porcelain", "--untracked-files=no", "--", ".",
                             *(":!" + path for path in WRITTEN))
        self.lock = threading.Lock()
        self.path = os.path.join(ROOT, "build", "campaign.json")
        self.rows = os.path.join(ROOT, "tests", "CAMPAIGNS.md")
        self.done, self.last = {}, {}
        if os.path.exists(self.path) and self.clean:
            with open(self.path) as f:
                state = json.load(f)
            if state.get("sources") == self.sources:
                self.done = state["done"]
        self.read_rows()

    def read_rows(self):
        """last: name -> its last row, counted from the oldest."""
        with open(self.rows) as f:
            rows = re.findall(r"^\| [\d-]+ \| (\w+)(\+?) \| (\S+) \| ok \| (\d+) \|", f.read(), re.M)
        known = {commit: sources(commit) for commit in {row[0] for row in rows}}
        for number, (commit, changed, name, seconds) in enumerate(rows):
            self.last[name] = number
            if self.clean and not changed and known[commit] == self.sources and name.startswith("fuzz."):
                self.done[name] = int(seconds)

    def note(self, name, failed, seconds, output):
        figures = "; ".join(re.findall(r"^figures: (.*)$", output, re.M))
        verdict = "ok" if not failed else "FAILED"
        if self.clean and not failed:
            self.done[name] = seconds
            with open(self.path + ".new", "w") as f:
                json.dump({"sources": self.sources, "done": self.done}, f)
            os.replace(self.path + ".new", self.path)
        if not figures:
            return
        with open(self.rows, "a") as f:
            f.write("| %s | %s%s | %s | %s | %.0f | %s |\n" % (
                time.strftime("%Y-%m-%d"), self.commit, "" if self.clean else "+", name, verdict,
                seconds, figures))


campaign = None


def is_done(name):
    if campaign is None or name not in campaign.done:
        return False
    progress("%-34s done before with these sources" % name)
    Totals.passed += 1
    return True


def progress(text):
    print(text, flush=True)


def count(name, passed, failed, skipped, seconds, output="", noted=True):
    Totals.passed += passed
    Totals.failed += failed
    Totals.skipped += skipped
    verdict = "ok" if failed == 0 else "FAILED"
    extra = ", %d not run" % skipped if skipped else ""
    progress("%-34s %-6s %4d passed%s  %5.1f s" % (name, verdict, passed, extra, seconds))
    if failed:
        Totals.failures.append(name)
        progress(output[-6000:])
    if campaign is not None and noted:
        with campaign.lock:
            campaign.note(name, failed, seconds, output)
    for reason in re.findall(r"not run: [^'\"\n]*", output):
        Totals.reasons[reason.strip()] = Totals.reasons.get(reason.strip(), 0) + 1


def run(command, timeout, env=None):
    start = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace",
                               env={**os.environ, **(env or {})})
    try:
        output, _ = process.communicate(timeout=timeout)
        return process.returncode, output, time.monotonic() - start
    except subprocess.TimeoutExpired:
        pass
    # First the signal that lets a test end the suites it started.
    process.send_signal(signal.SIGINT)
    try:
        output, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
    return 124, output + "\ntimed out after %d s" % timeout, time.monotonic() - start


def run_plain(name, command, timeout=600, noted=True):
    status, output, seconds = run(command, timeout)
    count(name, int(status == 0), int(status != 0), 0, seconds, output, noted)


def run_catch(name, program, timeout=600):
    status, output, seconds = run([program], timeout)
    good = re.search(r"All tests passed \(.* in (\d+) test case", output)
    bad = re.search(r"test cases: +(\d+) \| +(\d+) passed(?: \| +(\d+) failed)?", output)
    if status == 0 and good:
        count(name, int(good.group(1)), 0, 0, seconds)
    elif bad:
        count(name, int(bad.group(2)), max(1, int(bad.group(3) or 0)), 0, seconds, output)
    else:
        count(name, 0, 1, 0, seconds, output)


def run_programs(preset, prefix, pattern, wanted, workers):
    """So many at a time, the slow ones first: one of them at the end would be alone."""
    programs = glob.glob(os.path.join(ROOT, "build", preset, "bin", pattern))
    part = lambda program: os.path.basename(program).split("_", 1)[1]
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for program in sorted(programs, key=lambda p: (part(p) not in SLOW, part(p))):
            if wanted(prefix + part(program)):
                pool.submit(run_catch, prefix + part(program), program)


def run_python(name, path, timeout, env):
    status, output, seconds = run([sys.executable, path], timeout, env)
    ran = re.search(r"^Ran (\d+) test", output, re.M)
    total = int(ran.group(1)) if ran else 0
    numbers = dict(re.findall(r"(failures|errors|skipped)=(\d+)", output))
    failed = int(numbers.get("failures", 0)) + int(numbers.get("errors", 0))
    skipped = int(numbers.get("skipped", 0))
    if status != 0 and failed == 0:
        failed = 1
    count(name, max(0, total - failed - skipped), failed, skipped, seconds, output)


def fuzz_targets():
    return [os.path.splitext(os.path.basename(p))[0]
            for p in sorted(glob.glob(os.path.join(ROOT, "tests/fuzz/*.cc")))]


def replay(target):
    """The committed corpus in the build with sanitizers."""
    corpus = os.path.join(ROOT, "tests/fuzz/corpus", target)
    paths = os.path.join(ROOT, "build/dev/replay." + target)
    files = sorted(os.listdir(corpus)) if os.path.isdir(corpus) else []
    with open(paths, "w") as f:
        f.writelines(os.path.join(corpus, name) + "\n" for name in files)
    status, output, seconds = run(["build/dev/bin/replay_" + target, paths], 600)
    if status == 0 and "Done %d inputs\n" % len(files) in output and files:
        count("fuzz." + target, len(files), 0, 0, seconds)
    else:
        count("fuzz." + target, 0, 1, 0, seconds, output)


def campaign_of(target):
    """Looks for what is new, for five minutes: the figures go to tests/CAMPAIGNS.md. A shorter try
    (TAMBO_FUZZ_SECONDS) is no campaign, and leaves no row."""
    name = "fuzz.campaign." + target
    if is_done(name):
        return
    seconds = fuzz_campaign.SECONDS
    command = [sys.executable, "tests/fuzz/campaign.py", target]
    run_plain(name, command, seconds + 1500, seconds >= fuzz_campaign.FULL_SECONDS)


def build_fuzz(targets):
    status, output, seconds = run(["cmake", "--preset", "fuzz"], 300)
    if status == 0:
        status, output, seconds = run(
            ["ninja", "-C", "build/fuzz", *("fuzz_" + t for t in targets)], 3600)
    if status != 0:
        count("fuzz.build", 0, 1, 0, seconds, output)
    return status == 0


def run_fuzz(wanted, full):
    targets = [t for t in fuzz_targets() if wanted("fuzz." + t)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(replay, targets))
    if not full:
        return
    targets = [t for t in fuzz_targets() if wanted("fuzz.campaign." + t)]
    if targets and build_fuzz(targets):
        # First those that were never fuzzed, then those whose last campaign is the oldest.
        targets.sort(key=lambda t: campaign.last.get("fuzz.campaign." + t, -1))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(campaign_of, targets))
    if wanted("fuzz.planted") and build_fuzz(fuzz_targets()):
        run_plain("fuzz.planted", [sys.executable, "tests/fuzz/planted.py"], 1200)
    if wanted("fuzz.coverage") and build_fuzz(fuzz_targets()):
        run_plain("fuzz.coverage", [sys.executable, "tests/fuzz/coverage.py"], 1800)


def count_instructions(env):
    """Each fuzz target as an ordinary program, for tests/linear."""
    if is_done("linear"):
        return
    status, output, seconds = run(["ninja", "-C", "build/release", "linear"], 2400)
    if status != 0:
        count("linear.build", 0, 1, 0, seconds, output)
        return
    run_python("linear", "tests/linear/linear_test.py", 7200, env)


def main():
    parser = argparse.ArgumentParser(prog="./dev test")
    parser.add_argument("--full", action="store_true", help="also the long campaigns")
    parser.add_argument("regex", nargs="?", default="")
    args = parser.parse_args()
    start = time.monotonic()
    global campaign
    campaign = Campaign() if args.full else None
    wanted = lambda name: re.search(args.regex, name) is not None
    env = {"TAMBO_FULL": "1"} if args.full else {}

    if wanted("tidy"):
        run_plain("tidy", [sys.executable, "tests/tidy/tidy.py"])
    if wanted("docs"):
        run_plain("docs", [sys.executable, "tests/tidy/docs.py"])
    # The unit tests also as users get them: what only the optimiser breaks is seen there.
    run_programs("dev", "unit.", "unit_*", wanted, 2)
    run_programs("release", "release.", "unit_*", wanted, 2)
    run_programs("release", "sandbox.", "sandbox_*", wanted, 1)
    run_fuzz(wanted, args.full)
    if args.full and wanted("linear"):
        count_instructions(env)
    for group in ("system", "interop", "crash"):
        files = [p for p in sorted(glob.glob(os.path.join(ROOT, "tests", group, "*_test.py")))
                 if wanted(group + "." + os.path.basename(p)[:-8])]
        timeout = 7200 if args.full else 1200
        workers = 1 if group == "crash" else 2
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            for path in files:
                name = group + "." + os.path.basename(path)[:-8]
                if not is_done(name):
                    pool.submit(run_python, name, path, timeout, env)

    minutes = (time.monotonic() - start) / 60
    progress("")
    for reason, number in sorted(Totals.reasons.items()):
        progress("%s (%d)" % (reason, number))
    if Totals.failures:
        progress("failed: " + ", ".join(Totals.failures))
    progress("verdict: %s in %.1f minutes" % ("FAILED" if Totals.failed else "all good", minutes))
    closing = "%d passed, %d failed" % (Totals.passed, Totals.failed)
    if Totals.skipped:
        closing += ", %d skipped" % Totals.skipped
    progress(closing)
    return 1 if Totals.failed or Totals.passed == 0 else 0


sys.exit(main())
