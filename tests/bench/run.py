"""./dev bench: measures a server of its own, reproducibly; prints a table, writes JSON.

usage: ./dev bench [--quick] [--against SERVER]... [--dir DIR] [NAME]...

Without a NAME everything is measured, each NAME against a fresh server. The table is standard
output; the figures, with low and high, sizes and CPU by process, are in build/bench/NAME.json.

  CPU, load CPU    CPU seconds of all processes of the server, and of the load program, per 1,000
                   operations; that is milliseconds per operation. The figure to trust when other
                   work runs on the machine.
  --quick          a tenth of the work: whether it runs, not how fast
  --against        another server in a second group of columns
  --dir            where the servers keep their mail; what a sync costs depends on the filesystem
"""
import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from rows import table  # noqa: E402
from server import SERVERS, accounts, suite  # noqa: E402

NAMES = ("idle", "accept", "imap", "pop3", "login", "memory", "start")
RESULTS = os.path.join(suite.ROOT, "build", "bench")


def measurement(name):
    return importlib.import_module("measure_" + name)


def arguments():
    lines = ["measurements:"] + ["  %-8s %s" % (name, measurement(name).ABOUT) for name in NAMES]
    parser = argparse.ArgumentParser(prog="./dev bench", usage=argparse.SUPPRESS,
                                     description=__doc__, epilog="\n".join(lines),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--against", action="append", default=[], help=argparse.SUPPRESS,
                        choices=[name for name in SERVERS if name != "tambo"])
    parser.add_argument("--dir", default="/var/tmp", help=argparse.SUPPRESS)
    options = parser.parse_args()
    for name in options.names:
        if name not in NAMES:
            parser.error("no measurement %s; there are: %s" % (name, ", ".join(NAMES)))
    options.names = options.names or list(NAMES)
    return options


def machine(directory):
    """What the figures depend on beside the server."""
    with open("/proc/cpuinfo") as f:
        models = [line.split(":")[1].strip() for line in f if line.startswith("model name")]
    filesystem = subprocess.run(["findmnt", "-n", "-o", "FSTYPE,OPTIONS", "-T", directory],
                                capture_output=True, text=True).stdout.strip()
    return {"cpu": models[0] if models else platform.machine(), "cores": os.cpu_count(),
            "kernel": platform.release(), "filesystem": filesystem,
            "load_before": os.getloadavg()[0]}


def measure(name, server_class, options):
    """One measurement of one server, from its start to its end."""
    module = measurement(name)
    # Daemons have users of their own: they must be able to pass.
    directory = tempfile.mkdtemp(prefix="tambo-bench.", dir=options.dir)
    os.chmod(directory, 0o755)
    server = server_class(directory, accounts(module.ACCOUNTS))
    try:
        server.start()
        return module.measure(server, options.quick), server.version()
    finally:
        server.destroy()


def write(name, document):
    os.makedirs(RESULTS, exist_ok=True)
    path = os.path.join(RESULTS, name + ".json")
    with open(path, "w") as f:
        json.dump(document, f, indent=1)
        f.write("\n")
    return path


def main():
    options = arguments()
    servers = [SERVERS["tambo"], *(SERVERS[name] for name in options.against)]
    closing = {server.name: [] for server in servers}
    failed = []
    for name in options.names:
        suite.eprint("== %s: %s" % (name, measurement(name).ABOUT))
        began = time.monotonic()
        document = {"name": name, "date": time.strftime("%FT%TZ", time.gmtime()),
                    "quick": options.quick, "machine": machine(options.dir), "servers": {}}
        for server in servers:
            try:
                rows, version = measure(name, server, options)
            except (OSError, RuntimeError, EOFError, suite.SuiteError, TimeoutError) as error:
                suite.eprint("   %s failed: %s" % (server.name, error))
                failed.append("%s of %s" % (name, server.name))
                continue
            document["servers"][server.name] = {"version": version, "rows": rows}
            closing[server.name] += [{**r, "what": "%-6s  %s" % (name, r["what"])} for r in rows]
        document["seconds"] = round(time.monotonic() - began, 1)
        path = write(name, document)
        suite.eprint("   %.0f s, %s" % (document["seconds"], os.path.relpath(path, suite.ROOT)))
    print(table(closing))
    print("\n%s%s" % ("FAILED: " + ", ".join(failed) if failed else "all measured",
                      "; quick: not for comparison" if options.quick else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
