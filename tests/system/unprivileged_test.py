"""./dev up for everybody: the whole suite started by an ordinary user, in a directory of its own.

As root the test becomes nobody; the tree may stand where nobody cannot look: it gets a copy.
"""
import imaplib
import json
import os
import pwd
import shutil
import smtplib
import ssl
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from clients import first_difference, rich_message, trace_and_rest  # noqa: E402
from suite import ROOT, wait_for  # noqa: E402

DAEMONS = ["master", "smtpd", "queued", "relayd", "deliverd", "imapd", "pop3d", "mailboxd", "authd",
           "keyd", "dnsd", "logd", "tambo"]


class Unprivileged(unittest.TestCase):
    def setUp(self):
        self.user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self.tree = tempfile.mkdtemp(prefix="tambo-", dir=os.environ.get("TMPDIR", "/tmp"))
        self.addCleanup(shutil.rmtree, self.tree, ignore_errors=True)
        shutil.copytree(os.path.join(ROOT, "tests", "harness"),
                        os.path.join(self.tree, "tests", "harness"),
                        ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(os.path.join(ROOT, "etc"), os.path.join(self.tree, "etc"))
        bin_directory = os.path.join(self.tree, "build", "release", "bin")
        os.makedirs(bin_directory)
        for name in DAEMONS:
            shutil.copy2(os.path.join(ROOT, "build", "release", "bin", name), bin_directory)
        os.chmod(self.tree, 0o755)
        self.dir = os.path.join(self.tree, "run")
        os.mkdir(self.dir, 0o700)
        os.chown(self.dir, self.user.pw_uid, self.user.pw_gid)

    def up(self, *arguments):
        """./dev up without its build step, as the user."""
        command = ["/usr/bin/python3", "-B", os.path.join(self.tree, "tests", "harness", "up.py"),
                   "--release", "--dir", self.dir, *arguments]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=%d" % self.user.pw_uid, "--regid=%d" % self.user.pw_gid,
                       "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", *command]
        return subprocess.run(command, cwd=self.tree, capture_output=True, text=True, timeout=120,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.dir})

    def tambo(self, info, *arguments):
        command = [info["cli"], *arguments]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=%d" % self.user.pw_uid, "--regid=%d" % self.user.pw_gid,
                       "--clear-groups", *command]
        return subprocess.run(command, cwd=self.tree, capture_output=True, text=True, timeout=60,
                              env={"PATH": "/usr/bin:/bin", **info["env"]})

    def test_a_message_goes_in_and_comes_out(self):
        started = self.up()
        self.addCleanup(self.up, "--down")
        self.assertEqual(started.returncode, 0, started.stdout + started.stderr)
        info = json.loads(started.stdout)
        context = ssl.create_default_context(cafile=info["ca"])
        alice, bob = info["users"][0], info["users"][1]
        message = rich_message(alice["address"], bob["address"], "unprivileged")
        with smtplib.SMTP("127.0.0.1", info["ports"]["submission"], timeout=30) as client:
            client.starttls(context=context)
            client.login(alice["address"], alice["password"])
            client.sendmail(alice["address"], [bob["address"]], message, ["BODY=8BITMIME"])
        client = imaplib.IMAP4_SSL("127.0.0.1", info["ports"]["imaps"], timeout=30,
                                   ssl_context=context)
        client.login(bob["address"], bob["password"])
        wait_for(lambda: client.select("INBOX")[1] == [b"1"], what="the delivery")
        raw = client.fetch("1", "(BODY.PEEK[])")[1][0][1]
        client.logout()
        self.assertIsNone(first_difference(trace_and_rest(raw)[1], message))

        status = self.tambo(info, "status", "--json")
        self.assertEqual(status.returncode, 0, status.stderr)
        rows = [json.loads(line) for line in status.stdout.splitlines()]
        running = [row for row in rows if row["pid"]]
        self.assertGreaterEqual(len(running), 12)
        for row in running:
            with open("/proc/%s/status" % row["pid"]) as f:
                fields = dict(line.split(":\t", 1) for line in f if ":\t" in line)
            self.assertEqual(fields["Uid"].split(), [str(self.user.pw_uid)] * 4, row["process"])
            self.assertEqual(fields["NoNewPrivs"].strip(), "1", row["process"])
            self.assertEqual(fields["Seccomp"].strip(), "2", row["process"])
            self.assertEqual(int(fields["CapEff"], 16), 0, row["process"])

        stopped = self.up("--down")
        self.assertEqual(stopped.returncode, 0, stopped.stderr)
        # Zombies do not count: who reaps them is not ours to say.
        for row in running:
            try:
                with open("/proc/%s/stat" % row["pid"]) as f:
                    self.assertEqual(f.read().rsplit(")", 1)[1].split()[0], "Z", row["process"])
            except (FileNotFoundError, ProcessLookupError):
                pass


if __name__ == "__main__":
    unittest.main(verbosity=2)
