"""./dev bench: measures a server of its own, reproducibly; prints a table, writes JSON.

usage: ./dev bench [--quick] [--against SERVER]... [--dir DIR] [--image FSTYPE] [NAME]...

Without a NAME everything is measured, each NAME against a fresh server. The table is standard
output; the figures, with low and high, sizes and CPU by process, are in build/bench/NAME.json, and
a chart of the table in build/bench/bench.svg.

  CPU, load CPU    CPU seconds of all processes of the server, and of the load program, per 1,000
                   operations; that is milliseconds per operation. The figure to trust when other
                   work runs on the machine.
  --quick          a tenth of the work: whether it runs, not how fast
  --against        another server in a further group of columns: Debian's Postfix before Dovecot with
                   mailboxes of that format (packages postfix, dovecot-imapd, -pop3d, -lmtpd)
  --dir            where the servers keep their mail; what a sync costs depends on the filesystem
  --image          keep it on a filesystem of its own instead (ext4, xfs), an image in that
                   directory mounted for the time: nobody else's writes wait in it (root)
"""
import argparse
import contextlib
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
from connections import Refused  # noqa: E402
from chart import chart  # noqa: E402
from peers import PEERS  # noqa: E402
from rows import table  # noqa: E402
from server import Tambo, accounts, suite  # noqa: E402

SERVERS = {server.name: server for server in (Tambo, *PEERS)}
NAMES = ("idle", "accept", "relay", "imap", "pop3", "login", "memory", "start")
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
    parser.add_argument("--image", help=argparse.SUPPRESS, choices=["ext4", "xfs"])
    options = parser.parse_args()
    for name in options.against:
        missing = [path for path in SERVERS[name].programs if not os.path.exists(path)]
        if missing:
            parser.error("--against %s needs %s" % (name, ", ".join(missing)))
    for name in options.names:
        if name not in NAMES:
            parser.error("no measurement %s; there are: %s" % (name, ", ".join(NAMES)))
    options.names = options.names or list(NAMES)
    return options


@contextlib.contextmanager
def place(options):
    """The directory to work in."""
    if not options.image:
        yield options.dir
        return
    with tempfile.TemporaryDirectory(prefix="tambo-bench.", dir=options.dir) as directory:
        os.chmod(directory, 0o755)
        image, mounted = os.path.join(directory, "image"), os.path.join(directory, "mounted")
        os.mkdir(mounted)
        with open(image, "w") as f:
            f.truncate(8 << 30)
        force = {"ext4": "-F", "xfs": "-f"}[options.image]
        subprocess.run(["mkfs." + options.image, "-q", force, image], check=True)
        subprocess.run(["mount", "-o", "loop", image, mounted], check=True)
        try:
            yield mounted
        finally:
            subprocess.run(["umount", mounted], check=True)


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
        if hasattr(module, "prepare"):
            module.prepare(server)
        server.start()
        rows = module.measure(server, options.quick)
        return {"version": server.version(), "remarks": server.remarks(), "rows": rows}
    finally:
        server.destroy()


def write(name, document):
    os.makedirs(RESULTS, exist_ok=True)
    path = os.path.join(RESULTS, name + ".json")
    with open(path, "w") as f:
        json.dump(document, f, indent=1)
        f.write("\n")
    return path


def run(options, servers):
    """Writes each document; returns ({server: [row]}, what failed)."""
    closing, failed = {server.name: [] for server in servers}, []
    for name in options.names:
        suite.eprint("== %s: %s" % (name, measurement(name).ABOUT))
        began = time.monotonic()
        document = {"name": name, "date": time.strftime("%FT%TZ", time.gmtime()),
                    "quick": options.quick, "machine": machine(options.dir), "servers": {}}
        for server in servers:
            try:
                result = measure(name, server, options)
            except (OSError, RuntimeError, EOFError, Refused, suite.SuiteError) as error:
                suite.eprint("   %s failed: %s" % (server.name, error))
                failed.append("%s of %s" % (name, server.name))
                continue
            document["servers"][server.name] = result
            closing[server.name] += [{**r, "what": "%-6s  %s" % (name, r["what"])}
                                     for r in result["rows"]]
            for remark in result["remarks"]:
                suite.eprint("   %s: %s" % (server.name, remark))
        document["seconds"] = round(time.monotonic() - began, 1)
        path = write(name, document)
        suite.eprint("   %.0f s, %s" % (document["seconds"], os.path.relpath(path, suite.ROOT)))
    return closing, failed


def main():
    options = arguments()
    servers = [SERVERS["tambo"], *(SERVERS[name] for name in options.against)]
    with place(options) as options.dir:
        closing, failed = run(options, servers)
    print(table(closing))
    with open(os.path.join(RESULTS, "bench.svg"), "w") as f:
        f.write(chart(closing, "./dev bench, " + time.strftime("%F", time.gmtime())))
    print("\n%s%s" % ("FAILED: " + ", ".join(failed) if failed else "all measured",
                      "; quick: not for comparison" if options.quick else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
