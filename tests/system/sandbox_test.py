"""What a daemon that was taken over could still do: the operations of tests/sandbox/operations.cc,
tried in each process of a running suite inside its own sandbox, and once more without any sandbox,
so that "refused" does not mean "absent". The programs are those of build/release/bin/probe."""
import imaplib
import os
import re
import shutil
import socket
import ssl
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "harness")]
from suite import ROOT, Suite, wait_for  # noqa: E402

PROBES = os.path.join(ROOT, "build", "release", "bin", "probe")
PROCESSES = ["smtpd/smtpd", "queued/queued", "relayd/relayd", "deliverd/deliverd", "imapd/login",
             "pop3d/login", "mailboxd/keeper", "mailboxd/zygote", "mailboxd/account",
             "authd/authd", "keyd/keyd", "dnsd/dnsd", "logd/logd"]

# What a process may do, because it is its work. Everything else must be refused.
STORE = {"read_other_account", "write_other_account", "list_other_account"}
WORK = {
    "queued/queued": {"read_queue", "write_queue", "start_thread"},
    "authd/authd": {"read_accounts", "write_accounts", "start_thread"},
    "logd/logd": {"read_log"},
    "relayd/relayd": {"send_udp"},
    "dnsd/dnsd": {"send_udp"},
    # The store's owner; an account process has only its own account. The zygote forks those: it
    # takes orders from the keeper alone, and its children have a limit of memory of their own.
    "mailboxd/keeper": STORE,
    "mailboxd/zygote": STORE | {"fork_process", "memory_without_end"},
}
# Without Landlock: what the system allows to every user, for those who need directories and so
# cannot live in an empty root.
EVERY_USER = {"read_passwd", "list_root", "create_in_scratch", "make_directory", "rename_file",
              "remove_file"}
WITHOUT_LANDLOCK = {
    **{process: WORK.get(process, set()) | EVERY_USER
       for process in ("queued/queued", "authd/authd", "logd/logd", "deliverd/deliverd",
                       "mailboxd/keeper", "mailboxd/zygote")},
    # Outgoing connections are their work; Landlock keeps them to their ports.
    "relayd/relayd": {"send_udp", "connect_tcp"},
    "dnsd/dnsd": {"send_udp", "connect_tcp"},
    # Its root is its account.
    "mailboxd/account": {"create_in_root"},
}
WITHOUT_LANDLOCK["mailboxd/zygote"].add("change_root")
for process in ("queued/queued", "deliverd/deliverd"):
    WITHOUT_LANDLOCK[process].add("link_file")
# One user owns the spool, and only that may link (protected_hardlinks): Landlock keeps them apart.
WITHOUT_LANDLOCK["deliverd/deliverd"] |= {"read_queue", "write_queue"}
# Landlock before Linux 6.7 (ABI 4) knows no ports.
WITHOUT_PORTS = {**WORK, **{process: WITHOUT_LANDLOCK[process]
                            for process in ("relayd/relayd", "dnsd/dnsd")}}


class Probed:
    """A suite of probe programs in one mode; outcomes: {process: {operation: outcome}}."""

    def __init__(self, mode, abi=None):
        self.dir = tempfile.mkdtemp(prefix="tambo-sandbox.")
        os.chmod(self.dir, 0o755)
        self.mode, self.abi = mode, abi
        self.sink = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.suite = Suite(os.path.join(self.dir, "suite"))

    def log_in(self, user):
        context = ssl.create_default_context(cafile=self.suite.ca)
        with imaplib.IMAP4_SSL("127.0.0.1", self.suite.ports["imaps"], ssl_context=context,
                               timeout=60) as imap:
            imap.login(*user)

    def prepare(self):
        """Everything that is to be tried for must be there; bob is the other account."""
        suite = self.suite
        suite.start()
        for user in suite.users:
            self.log_in(user)
        bob = suite.tambo("user", "show", suite.users[1][0]).split("\t")[5].strip()
        suite.stop()
        scratch = os.path.join(self.dir, "scratch")
        os.mkdir(scratch)
        os.chmod(scratch, 0o777)
        suite.bin = os.path.join(self.dir, "bin")
        shutil.copytree(PROBES, suite.bin)
        index = os.path.join(suite.state, "mail", bob, "index.db")
        key = os.path.join(suite.dir, "tls", "key.pem")
        for path in (index, key):
            assert os.path.exists(path), path
        with open(os.path.join(suite.bin, "probe.conf"), "w") as f:
            f.write("\n".join([self.mode, suite.state, index, key, suite.config, scratch,
                               str(self.sink.getsockname()[1])]) + "\n")

    def outcomes(self):
        self.prepare()
        if self.abi is not None:
            os.environ["TAMBO_LANDLOCK_ABI"] = str(self.abi)
        self.suite.start_master()
        self.log_in(self.suite.users[0])
        log = os.path.join(self.suite.dir, "master.log")

        def ended():
            with open(log) as f:
                text = f.read()
            return all("probe %s end" % process in text for process in PROCESSES) and text

        text = wait_for(ended, seconds=120, what="all processes to have tried")
        found = {}
        for process, operation, outcome in re.findall(
                r"^probe (\S+) (\S+) (possible|killed|refused \S+)$", text, re.M):
            found.setdefault(process, {})[operation] = outcome
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.environ.pop("TAMBO_LANDLOCK_ABI", None)
        try:
            self.suite.stop()
        finally:
            self.sink.close()
            shutil.rmtree(self.dir, ignore_errors=True)


@unittest.skipIf(os.geteuid() != 0, "not run: root")
class SandboxTest(unittest.TestCase):
    def check(self, outcomes, work):
        for process in PROCESSES:
            with self.subTest(process=process):
                tried = outcomes[process]
                possible = {name for name, outcome in tried.items() if outcome == "possible"}
                self.assertEqual(possible, work.get(process, set()))
                self.assertGreaterEqual(len(tried) - len(possible), 40)

    def test_refused(self):
        with Probed("closed") as probed:
            self.check(probed.outcomes(), WORK)

    def test_landlock_of_linux_5_19(self):
        with Probed("closed", abi=2) as probed:
            self.check(probed.outcomes(), WITHOUT_PORTS)

    def test_without_landlock(self):
        with Probed("closed", abi=0) as probed:
            self.check(probed.outcomes(), WITHOUT_LANDLOCK)

    def test_possible_without_a_sandbox(self):
        with Probed("open") as probed:
            for process, tried in probed.outcomes().items():
                with self.subTest(process=process):
                    impossible = {name: outcome for name, outcome in tried.items()
                                  if outcome != "possible"}
                    self.assertLessEqual(len(impossible), len(tried) // 20, impossible)


if __name__ == "__main__":
    unittest.main(verbosity=2)
