"""./dev up and ./dev down. The JSON object is a stable contract (README, "A suite to play with")."""
import argparse
import json
import os
import signal
import sys
import time

from suite import ROOT, Suite, SuiteError, eprint


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie of ours does not count.
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def down(directory):
    path = os.path.join(directory, "up.json")
    try:
        with open(path) as f:
            pid = json.load(f)["pid"]
    except FileNotFoundError:
        eprint("no suite in", directory)
        return 66
    if alive(pid):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 30
        while alive(pid):
            if time.monotonic() > deadline:
                eprint("master", pid, "does not stop; see", os.path.join(directory, "master.log"))
                return 75
            time.sleep(0.05)
    os.unlink(path)
    eprint("stopped")
    return 0


def pairs(texts, what):
    result = []
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign:
            eprint("%s takes NAME=VALUE, not %r" % (what, text))
            sys.exit(64)
        result.append((key, value))
    return result


def main():
    parser = argparse.ArgumentParser(prog="./dev up")
    parser.add_argument("--release", action="store_true")
    parser.add_argument("--dir", default=os.path.join(ROOT, "run"))
    parser.add_argument("--domain", action="append", default=[])
    parser.add_argument("--user", action="append", default=[])
    parser.add_argument("--dns", action="append", default=[])
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--down", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    directory = os.path.abspath(args.dir)
    if args.down:
        return down(directory)
    path = os.path.join(directory, "up.json")
    if os.path.exists(path):
        with open(path) as f:
            if alive(json.load(f)["pid"]):
                eprint("a suite runs in", directory, "already: ./dev down --dir", args.dir)
                return 75
    suite = Suite(directory, preset="release" if args.release else "dev", domains=args.domain,
                  users=pairs(args.user, "--user"), dns=args.dns,
                  settings=dict(pairs(args.set, "--set")))
    try:
        suite.start()
        suite.detach()
    except SuiteError as error:
        eprint(error)
        return 70
    info = suite.info()
    with open(path, "w") as f:
        json.dump(info, f)
    print(json.dumps(info))
    return 0


sys.exit(main())
