"""Runs all tests: ./dev test [--full] [REGEX]. Prints progress, then one closing line.

Groups in order: tidy, docs, unit, release, sandbox, with --full fuzz (replay of the corpus) and
linear, system, interop, crash. A test file of system, interop or crash is a unittest module;
programs and files run two at a time, those of crash one.
"""
import argparse
import concurrent.futures
import glob
import json
import os
import re
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


SLOW = ("smtpd", "relayd", "imap_session", "imapd")


class Totals:
    passed = failed = skipped = 0
    failures = []
    reasons = {}


class Campaign:
    """What ./dev test --full has done at this commit: it can be interrupted and goes on where it
    was. Figures go to tests/CAMPAIGNS.md."""

    def __init__(self):
        git = lambda *args: subprocess.run(["git", *args], cwd=ROOT, capture_output=True,
                                           text=True).stdout.strip()
        self.commit = git("rev-parse", "--short=12", "HEAD")
        self.clean = not git("status", "--porcelain", "--untracked-files=no")
        self.path = os.path.join(ROOT, "build", "campaign.json")
        self.done = {}
        if os.path.exists(self.path) and self.clean:
            with open(self.path) as f:
                state = json.load(f)
            if state["commit"] == self.commit:
                self.done = state["done"]

    def note(self, name, failed, seconds, output):
        figures = "; ".join(re.findall(r"^figures: (.*)$", output, re.M))
        runs = re.search(r"^Done (\d+) runs", output, re.M)
        if runs:
            figures = runs.group(1) + " inputs"
        verdict = "ok" if not failed else "FAILED"
        if self.clean and not failed:
            self.done[name] = seconds
            with open(self.path + ".new", "w") as f:
                json.dump({"commit": self.commit, "done": self.done}, f)
            os.replace(self.path + ".new", self.path)
        if not figures:
            return
        with open(os.path.join(ROOT, "tests", "CAMPAIGNS.md"), "a") as f:
            f.write("| %s | %s%s | %s | %s | %.0f | %s |\n" % (
                time.strftime("%Y-%m-%d"), self.commit, "" if self.clean else "+", name, verdict,
                seconds, figures))


campaign = None


def is_done(name):
    if campaign is None or name not in campaign.done:
        return False
    progress("%-34s done before at this commit" % name)
    Totals.passed += 1
    return True


def progress(text):
    print(text, flush=True)


def count(name, passed, failed, skipped, seconds, output=""):
    Totals.passed += passed
    Totals.failed += failed
    Totals.skipped += skipped
    verdict = "ok" if failed == 0 else "FAILED"
    extra = ", %d not run" % skipped if skipped else ""
    progress("%-34s %-6s %4d passed%s  %5.1f s" % (name, verdict, passed, extra, seconds))
    if failed:
        Totals.failures.append(name)
        progress(output[-6000:])
    if campaign is not None:
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


def run_plain(name, command, timeout=600):
    status, output, seconds = run(command, timeout)
    count(name, int(status == 0), int(status != 0), 0, seconds, output)


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


def replay_fuzz(pattern):
    """Each target over its committed corpus, built with libFuzzer only for that."""
    targets = [os.path.splitext(os.path.basename(p))[0]
               for p in sorted(glob.glob(os.path.join(ROOT, "tests/fuzz/*.cc")))]
    targets = [t for t in targets if re.search(pattern, "fuzz." + t)]
    if not targets:
        return
    status, output, seconds = run(["cmake", "--preset", "fuzz"], 300)
    if status == 0:
        status, output, seconds = run(
            ["ninja", "-C", "build/fuzz", *("fuzz_" + t for t in targets)], 2400)
    if status != 0:
        count("fuzz.build", 0, 1, 0, seconds, output)
        return
    for target in targets:
        corpus = os.path.join(ROOT, "tests/fuzz/corpus", target)
        command = ["build/fuzz/bin/fuzz_" + target, "-timeout=10"]
        command += [corpus, "-runs=0"] if os.path.isdir(corpus) else ["-runs=1000"]
        if not is_done("fuzz." + target):
            run_plain("fuzz." + target, command, 300)


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
    if args.full:
        replay_fuzz(args.regex)
        if wanted("linear"):
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
