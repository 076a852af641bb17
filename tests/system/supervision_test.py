"""The real suite under master: its sandboxes, death of every daemon, reload, shutdown, epoch.

Runs the release build: sanitizers have no seccomp filter."""
import imaplib
import json
import os
import pty
import select
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from suite import Suite, SuiteError, ensure_users, free_ports, wait_for  # noqa: E402

SINGLE = ["logd", "keyd", "dnsd", "authd", "keeper", "deliverd", "queued"]
NUMBERED = ["relayd.0", "mx.0", "submit.0"]
GENERATIONS = ["imapd.", "pop3d."]
CORE, NPROC = "Max core file size", "Max processes"


def fresh(**arguments):
    # Short: the name of a socket below it must fit a sockaddr. Readable: as root the daemons are
    # other users.
    directory = tempfile.mkdtemp(prefix="tambo-", dir=os.environ.get("TMPDIR", "/tmp"))
    os.chmod(directory, 0o755)
    return Suite(directory, **arguments)


def proc(pid, name):
    with open("/proc/%d/%s" % (pid, name)) as f:
        return f.read()


def status_of(pid):
    return dict(line.split(":\t", 1) for line in proc(pid, "status").splitlines() if ":\t" in line)


def is_alive(pid):
    try:
        return status_of(pid).get("State", "Z")[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid):
    return [int(child) for child in proc(pid, "task/%d/children" % pid).split()]


def greeting(port):
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.settimeout(10)
        return s.recv(512)


class Running(unittest.TestCase):
    """One suite for everything that does not need one of its own."""

    @classmethod
    def setUpClass(cls):
        cls.suite = fresh().start()

    @classmethod
    def tearDownClass(cls):
        cls.suite.destroy()

    def pids(self):
        return {row["process"]: int(row["pid"]) for row in self.suite.status() if row["pid"]}

    def instance(self, prefix):
        for row in self.suite.status():
            if row["process"].startswith(prefix) and row["state"] == "running":
                return row["process"]
        return None

    def all_run(self):
        return all(row["state"] == "running" for row in self.suite.status() if row["pid"])

    def test_everybody_is_there_and_confined(self):
        wait_for(self.all_run, what="all to be ready")  # others may have ended somebody
        pids = self.pids()
        for name in ["master", *SINGLE, *NUMBERED]:
            self.assertIn(name, pids)
        for prefix in GENERATIONS:
            self.assertTrue(self.instance(prefix), prefix)
        for name, pid in pids.items():
            with self.subTest(process=name):
                status = status_of(pid)
                self.assertEqual(status["NoNewPrivs"], "1")
                self.assertEqual(status["Seccomp"], "2")
                if name == "master":
                    continue
                for which in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
                    self.assertEqual(int(status[which], 16), 0)
                self.assertEqual(status["Threads"], "1" if name not in ("queued", "authd")
                                 else status["Threads"])
                limits = proc(pid, "limits") if os.geteuid() == 0 else ""
                for line in limits.splitlines():
                    if line.startswith(CORE):
                        self.assertEqual(line.split()[4], "0")
                if os.geteuid() == 0:
                    uids = status["Uid"].split()
                    self.assertEqual(len(set(uids)), 1)
                    self.assertNotEqual(uids[0], "0")

    def test_users_are_separate(self):
        if os.geteuid() != 0:
            self.skipTest("not run: root")
        uid = {name: status_of(pid)["Uid"].split()[0] for name, pid in self.pids().items()}
        alone = ["logd", "keyd", "dnsd", "authd", "keeper", "queued", "relayd.0", "mx.0",
                 "submit.0", self.instance("imapd.")]
        self.assertEqual(len({uid[name] for name in alone}), len(alone))
        self.assertEqual(uid["queued"], uid["deliverd"])

    def test_who_touches_no_file_is_in_the_empty_root(self):
        if os.geteuid() != 0:
            self.skipTest("not run: root")
        pids = self.pids()
        for name in ["keyd", "dnsd", *NUMBERED, *(self.instance(g) for g in GENERATIONS)]:
            with self.subTest(process=name):
                self.assertEqual(os.readlink("/proc/%d/root" % pids[name]),
                                 os.path.join(self.suite.state, "root"))

    def test_each_daemon_may_die(self):
        for name in [*SINGLE, *NUMBERED, *GENERATIONS]:
            with self.subTest(process=name):
                full = self.instance(name) if name.endswith(".") else name
                before = self.pids()
                os.kill(before[full], signal.SIGKILL)
                start = time.monotonic()
                wait_for(lambda: self.instance(name) and
                         self.pids().get(self.instance(name)) != before[full],
                         what=name + " to come back")
                self.assertTrue(greeting(self.suite.ports["smtp"]).startswith(b"220"))
                self.assertTrue(greeting(self.suite.ports["imap"]).startswith(b"* OK"))
                self.assertTrue(greeting(self.suite.ports["pop3"]).startswith(b"+OK"))
                self.assertLess(time.monotonic() - start, 20)
                after = self.pids()
                for other, pid in before.items():
                    if other != full:
                        self.assertEqual(after.get(other), pid, other + " was disturbed")

    def test_a_removed_account_is_put_away_though_the_keeper_died(self):
        self.suite.tambo("user", "add", "gone@example.test", "--stdin", stdin="long enough\n")
        account = json.loads(self.suite.tambo("user", "show", "gone@example.test", "--json"))["id"]
        mail = os.path.join(self.suite.state, "mail", account)
        with smtplib.SMTP("127.0.0.1", self.suite.ports["smtp"], timeout=60) as smtp:
            smtp.sendmail("stranger@client.example", "gone@example.test", "From: a@b.example\r\n\r\nx")
        wait_for(lambda: os.path.isdir(mail), what="the account's directory")
        keeper = self.suite.pid_of("keeper")
        os.kill(keeper, signal.SIGSTOP)
        self.suite.tambo("user", "rm", "gone@example.test")
        os.kill(keeper, signal.SIGKILL)
        wait_for(lambda: os.path.isdir(mail + ".deleted"), what="the directory to be put away")
        self.assertFalse(os.path.exists(mail))

    def account_process(self, user):
        """Of a session that begins, and the session."""
        def accounts():
            return {pid for zygote in children(self.pids()["keeper"]) for pid in children(zygote)}
        for order in ("disable", "enable"):  # ends its sessions
            self.suite.tambo("user", order, user[0])
        wait_for(lambda: not any(is_alive(pid) for pid in accounts()), what="no account process")
        imap = imaplib.IMAP4("127.0.0.1", self.suite.ports["imap"])
        imap.starttls(ssl.create_default_context(cafile=self.suite.ca))
        self.addCleanup(imap.shutdown)
        imap.login(*user)
        (pid,) = [pid for pid in accounts() if is_alive(pid)]
        return pid

    def ends_of(self, pid):
        return [line for line in self.suite.events()
                if " account.process_ended " in line and 'pid="%d"' % pid in line]

    def test_the_log_says_how_an_account_process_ended(self):
        wait_for(self.all_run, what="all to be ready")
        address = self.suite.users[0][0]
        well = self.account_process(self.suite.users[0])
        ill = self.account_process(self.suite.users[0])
        os.kill(ill, signal.SIGABRT)
        (line,) = wait_for(lambda: self.ends_of(ill), what="the event")
        self.assertIn('how="signal 6"', line)
        (account,) = [row.split("\t")[-1] for row in self.suite.tambo("user", "list").splitlines()
                      if row.startswith(address)]
        self.assertIn('directory="%s"' % account, line)
        self.assertEqual(self.ends_of(well), [])

    def test_reload(self):
        suite = self.suite
        with open(suite.config) as f:
            good = f.read()
        generation = int(suite.status()[0]["generation"])
        try:
            with open(suite.config, "w") as f:
                f.write(good + 'smtp.message_size_maxx = "1M"\nqueue.lifetime = false\n')
            refused = suite.tambo("reload", check=False)
            self.assertEqual(refused.returncode, 78)
            self.assertIn('did you mean "smtp.message_size_max"', refused.stderr)
            self.assertIn("queue.lifetime: expected a duration", refused.stderr)
            self.assertEqual(int(suite.status()[0]["generation"]), generation)
            with open(suite.config, "w") as f:
                f.write(good + 'smtp.message_size_max = "123456"\n')
            self.assertEqual(suite.tambo("reload", check=False).returncode, 0)
            self.assertEqual(int(suite.status()[0]["generation"]), generation + 1)
            self.assertTrue(wait_for(lambda: b"SIZE 123456" in self.ehlo(), what="the new size"))
        finally:
            with open(suite.config, "w") as f:
                f.write(good)
            suite.tambo("reload")

    def ehlo(self):
        with socket.create_connection(("127.0.0.1", self.suite.ports["smtp"]), 10) as s:
            s.settimeout(10)
            file = s.makefile("rwb")
            file.readline()
            file.write(b"EHLO client.example\r\n")
            file.flush()
            reply = b""
            while True:
                line = file.readline()
                reply += line
                if line[3:4] != b"-":
                    return reply

    def test_a_second_master_is_refused(self):
        command = [os.path.join(self.suite.bin, "master"), "--config", self.suite.config]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual(second.returncode, 75, second.stderr)
        self.assertIn("runs a suite", second.stderr)

    def test_a_taken_port_is_named(self):
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            command = [os.path.join(self.suite.bin, "master"), "--config", self.suite.config,
                       "--dir", directory]
            second = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual(second.returncode, 69, second.stderr)
        for service, port in self.suite.ports.items():
            self.assertIn("listen.%s: cannot listen on 127.0.0.1:%d: Address already in use"
                          % (service, port), second.stderr)

    def test_a_bad_configuration_is_refused_whole(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as f:
            f.write('hostname = "x"\nsmtp.recipients_max = 1\n')
            f.flush()
            command = [os.path.join(self.suite.bin, "master"), "--config", f.name]
            result = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 78)
        self.assertRegex(result.stderr, r":1:1: error: hostname")
        self.assertRegex(result.stderr, r":2:\d+: error: smtp.recipients_max: 1 is out of range")

    def test_events_reach_the_file_and_trace(self):
        greeting(self.suite.ports["smtp"])
        lines = wait_for(lambda: [line for line in self.suite.events() if " smtp.connected " in line],
                         what="an event")
        session = [word for word in lines[-1].split() if word.startswith("sid=")][0][4:]
        self.assertIn("smtp.connected", self.suite.tambo("trace", session))
        self.assertEqual(self.suite.tambo("trace", "no-such-thing", check=False).returncode, 1)


class Lives(unittest.TestCase):
    """Starts and ends."""

    def epoch(self, suite):
        with open(os.path.join(suite.state, "epoch")) as f:
            return f.read()

    def test_clean_end_keeps_the_epoch_and_a_kill_raises_it(self):
        suite = fresh()
        try:
            suite.start()
            self.assertEqual(self.epoch(suite), "1 running\n")
            self.assertEqual(suite.stop(), 0)
            self.assertEqual(self.epoch(suite), "1 clean\n")
            suite.start_master()
            self.assertEqual(self.epoch(suite), "1 running\n")
            pids = [int(row["pid"]) for row in suite.status() if row["pid"]]
            os.kill(suite.pid, signal.SIGKILL)
            suite.process.wait()
            wait_for(lambda: not any(is_alive(pid) for pid in pids), 10,
                     "the daemons to end with master")
            suite.start_master()
            self.assertEqual(self.epoch(suite), "2 running\n")
        finally:
            suite.destroy()

    def test_a_stop_as_soon_as_a_port_is_open(self):
        suite = fresh()
        try:
            suite.start()
            suite.stop()
            for _ in range(5):
                suite.start_master()  # until the kernel takes connections, no longer
                self.assertEqual(suite.stop(), 0)
                self.assertEqual(self.epoch(suite), "1 clean\n")
        finally:
            suite.destroy()

    def test_generations(self):
        suite = fresh(settings={"imap.generation_connections": "1"})
        try:
            suite.start()
            first = [r["process"] for r in suite.status() if r["process"].startswith("imapd.")]
            kept = socket.create_connection(("127.0.0.1", suite.ports["imap"]), 10)
            kept.settimeout(10)
            self.assertTrue(kept.recv(512).startswith(b"* OK"))

            def successor():
                return [r for r in suite.status() if r["process"].startswith("imapd.")
                        and r["process"] not in first and r["state"] == "running"]
            wait_for(successor, what="the next generation")
            self.assertTrue(greeting(suite.ports["imap"]).startswith(b"* OK"))
            kept.sendall(b"a NOOP\r\n")
            self.assertIn(b"a OK", kept.recv(512))
            kept.close()
            wait_for(lambda: not [r for r in suite.status() if r["process"] in first],
                     what="the old generation to end with its last connection")
        finally:
            suite.destroy()

    def test_older_kernels(self):
        for abi in ("0", "2"):
            os.environ["TAMBO_LANDLOCK_ABI"] = abi
            try:
                suite = fresh()
                try:
                    suite.start()
                    rows = {r["process"]: r["isolation"] for r in suite.status()}
                    self.assertEqual("Landlock" in rows["queued"], abi == "0")
                    self.assertTrue(greeting(suite.ports["smtp"]).startswith(b"220"))
                finally:
                    suite.destroy()
            finally:
                del os.environ["TAMBO_LANDLOCK_ABI"]

    def test_ports_below_zero_are_free_ones(self):
        # Port 0: the system chooses; the ready line says what.
        suite = fresh()
        try:
            suite.ports = dict.fromkeys(
                ["smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"], 0)
            os.makedirs(suite.dir, exist_ok=True)
            suite.write_config()
            ensure_users()
            read, write = os.pipe()
            process = subprocess.Popen(
                [os.path.join(suite.bin, "master"), "--config", suite.config, "--ready-fd",
                 str(write)], pass_fds=[write], stdin=subprocess.DEVNULL)
            os.close(write)
            suite.process, suite.pid = process, process.pid
            with os.fdopen(read) as f:
                ready = json.loads(f.readline())
            self.assertEqual(ready["pid"], process.pid)
            self.assertTrue(greeting(ready["ports"]["smtp"]).startswith(b"220"))
            self.assertEqual(len(set(ready["ports"].values())), 7)
        finally:
            suite.destroy()

    def test_a_terminal_is_told_that_it_runs(self):
        suite = fresh()
        terminal, end = pty.openpty()
        try:
            os.makedirs(suite.dir, exist_ok=True)
            suite.write_config()
            ensure_users()
            suite.process = subprocess.Popen(
                [os.path.join(suite.bin, "master"), "--config", suite.config],
                stdin=subprocess.DEVNULL, stderr=end)
            suite.pid = suite.process.pid
            self.assertTrue(select.select([terminal], [], [], 60)[0])
            self.assertEqual(os.read(terminal, 4096).decode().splitlines(),
                             ["tambo: running, mail.example.test; events: %s/log/events.log; "
                              "tambo status" % suite.state])
        finally:
            os.close(end)
            os.close(terminal)
            suite.destroy()


if __name__ == "__main__":
    unittest.main(verbosity=2)
