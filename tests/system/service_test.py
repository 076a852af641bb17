"""etc/tambo.service: what systemd says of it, and the whole suite under its restrictions."""
import imaplib
import os
import re
import shutil
import smtplib
import ssl
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "harness")]
from suite import ROOT, Suite, wait_for  # noqa: E402

UNIT = os.path.join(ROOT, "etc", "tambo.service")
CONFINE = os.path.join(ROOT, "tests", "harness", "confine.py")
EXPOSURE_MAX = 3.0
# Linux: capability.h
CAPABILITIES = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3, "CAP_KILL": 5,
                "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_SETPCAP": 8, "CAP_NET_BIND_SERVICE": 10,
                "CAP_SYS_CHROOT": 18}


def status_of(pid, name):
    with open("/proc/%d/status" % pid) as f:
        return re.search(r"^%s:\s+(\S+)" % name, f.read(), re.M).group(1)


class Service(unittest.TestCase):
    def setUp(self):
        if shutil.which("systemd-analyze") is None:
            self.skipTest("not run: systemd")
        self.dir = tempfile.mkdtemp(prefix="tambo-", dir=os.environ.get("TMPDIR", "/tmp"))
        os.chmod(self.dir, 0o755)
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def test_exposure(self):
        result = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager",
                                 "--threshold=%d" % round(EXPOSURE_MAX * 10), UNIT],
                                text=True, capture_output=True, timeout=120)
        figure = re.search(r"exposure level for \S+: (\S+)", result.stdout).group(1)
        print("figures: exposure %s" % figure)
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertLessEqual(float(figure), EXPOSURE_MAX)

    def test_verify(self):
        """With the programs that were built, because it looks whether they are there."""
        with open(UNIT) as f:
            text = f.read()
        binaries = os.path.join(ROOT, "build", "release", "bin")
        for installed in ("/usr/lib/tambo/master", "/usr/sbin/tambo"):
            self.assertIn("=" + installed, text)
            text = text.replace(installed, os.path.join(binaries, os.path.basename(installed)))
        path = os.path.join(self.dir, "tambo.service")
        with open(path, "w") as f:
            f.write(text)
        result = subprocess.run(["systemd-analyze", "verify", "--man=no", path], text=True,
                                capture_output=True, timeout=120)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("tambo.service", result.stderr)

    def test_the_suite_lives_under_it(self):
        if os.geteuid() != 0:
            self.skipTest("not run: root")
        suite = Suite(self.dir)
        suite.wrap = [sys.executable, CONFINE, UNIT, self.dir]
        self.addCleanup(suite.destroy)
        suite.start()
        master = suite.pid
        allowed = sum(1 << bit for bit in CAPABILITIES.values())
        self.assertEqual(int(status_of(master, "CapBnd"), 16), allowed)
        self.assertGreaterEqual(int(status_of(master, "Seccomp_filters")), 3)
        # Everything works, in each of its forms: accept, deliver, relay's look-up, login, read.
        with smtplib.SMTP("127.0.0.1", suite.ports["smtp"], timeout=60) as smtp:
            smtp.sendmail("x@client.example", ["alice@example.test"], b"Subject: in\r\n\r\nx\r\n")
        context = ssl.create_default_context(cafile=suite.ca)
        with smtplib.SMTP_SSL("localhost", suite.ports["submissions"], context=context,
                              timeout=60) as smtp:
            smtp.login("bob@example.test", "bob-secret")
            smtp.sendmail("bob@example.test", ["alice@example.test", "x@nowhere.invalid"],
                          b"From: bob@example.test\r\nSubject: out\r\n\r\nx\r\n")
        with imaplib.IMAP4_SSL("localhost", suite.ports["imaps"], ssl_context=context,
                               timeout=60) as imap:
            imap.login("alice@example.test", "alice-secret")
            wait_for(lambda: imap.select()[1] == [b"2"], what="both messages")
        wait_for(lambda: any("relay." in line for line in suite.events()), what="relayd's word")
        for row in suite.status():
            self.assertEqual(row["isolation"], "full" if row["process"] != "master" else "", row)
        suite.tambo("reload")
        suite.tambo("restart")
        self.assertEqual(suite.pid_of("master"), master)
        with imaplib.IMAP4_SSL("localhost", suite.ports["imaps"], ssl_context=context,
                               timeout=60) as imap:
            imap.login("alice@example.test", "alice-secret")
            self.assertEqual(imap.select()[1], [b"2"])
        self.assertEqual(suite.stop(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
