"""`tambo quickstart`: from nothing to a suite that takes mail, and again to see what differs."""
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
from suite import SERVICES, Suite, ensure_users, free_ports, wait_for  # noqa: E402
from terminal import on_terminal  # noqa: E402


class Quickstart(unittest.TestCase):
    def setUp(self):
        ensure_users()
        self.dir = tempfile.mkdtemp(prefix="tambo-", dir=os.environ.get("TMPDIR", "/tmp"))
        os.chmod(self.dir, 0o755)
        self.suite = Suite(self.dir)  # only for its paths and its waiting
        self.suite.config = os.path.join(self.dir, "etc", "tambo.toml")
        self.suite.env = {"TAMBO_CONFIG": self.suite.config}
        self.state = self.suite.state = os.path.join(self.dir, "var")

    def tearDown(self):
        try:
            self.suite.stop()
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    def run_tambo(self, *words, stdin=""):
        return subprocess.run([self.suite.cli, *words], input=stdin, text=True,
                              capture_output=True, timeout=120,
                              env={**os.environ, **self.suite.env})

    def quickstart(self, *words, status=0, stdin=""):
        result = self.run_tambo("quickstart", "example.test", "ann@example.test", "--directory",
                                self.state, *words, stdin=stdin)
        self.assertEqual(result.returncode, status, result.stderr)
        return result.stdout

    def marks(self, text):
        """What it says of each step: {step: mark}."""
        part = text[text.index("[1/3]"):text.index("[2/3]")]
        found = re.findall(r"^  (made|ok|DIFFERS) +(.*)$", part, re.M)
        return {step: mark for mark, step in found}

    def start_as_printed(self, text):
        """Runs the command that it printed, on ports of our own."""
        command = re.search(r"\[3/3\] start\n  (/\S+ --config \S+)\n", text).group(1).split()
        self.suite.ports = dict(zip(SERVICES, free_ports(len(SERVICES))))
        for service, port in self.suite.ports.items():
            command += ["--set", "listen.%s=127.0.0.1:%d" % (service, port)]
        command += ["--set", "log.target=file", "--set", "queue.disk_reserve=16M"]
        with open(os.path.join(self.dir, "master.log"), "ab") as log:
            self.suite.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                                  stderr=log, start_new_session=True)
        self.suite.wait_ports()

    def test_from_nothing_to_a_mailbox(self):
        text = self.quickstart()
        self.assertEqual(set(self.marks(text).values()), {"made"})
        self.assertEqual(len(self.marks(text)), 6)  # configuration, domain, account, three roles
        password = re.search(r"password of ann@example.test: (\S+)$", text, re.M).group(1)
        with open(self.suite.config) as f:
            self.assertIn('hostname = "mail.example.test"\n', f.read())
        # What to enter, what to ask for, how to log in.
        for line in (r"example.test +MX +10 mail.example.test ",
                     r"mail.example.test +A ", r"example.test +TXT +v=spf1 mx ~all ",
                     r"_imaps._tcp.example.test +SRV +0 1 993 mail.example.test ",
                     r"reverse DNS \(PTR\)", r"port 25", r"login ann@example.test, IMAP"):
            self.assertRegex(text, line)
        for spelled in ("POP3", "SMTP"):
            self.assertIn(spelled, text)

        self.start_as_printed(text)
        context = ssl._create_unverified_context()
        with smtplib.SMTP("127.0.0.1", self.suite.ports["smtp"], timeout=60) as smtp:
            smtp.sendmail("x@client.example", ["abuse@example.test"],
                          "From: x@client.example\r\nSubject: to a role\r\n\r\nhello\r\n")
        imap = imaplib.IMAP4_SSL("127.0.0.1", self.suite.ports["imaps"], ssl_context=context,
                                 timeout=60)
        imap.login("ann@example.test", password)
        wait_for(lambda: imap.select()[1] != [b"0"], what="the mail to the role")
        certificate = ssl.DER_cert_to_PEM_cert(imap.sock.getpeercert(True))
        imap.logout()
        shown = subprocess.run(["openssl", "x509", "-noout", "-ext", "subjectAltName"],
                               input=certificate, text=True, capture_output=True, check=True)
        self.assertIn("DNS:mail.example.test", shown.stdout)

        # A second run, of a suite that runs: everything is there, nothing is changed.
        with open(self.suite.config) as f:
            before = f.read()
        again = self.quickstart()
        self.assertEqual(set(self.marks(again).values()), {"ok"})
        self.assertNotIn("password of", again)
        self.assertIn("tambo is running", again)
        with open(self.suite.config) as f:
            self.assertEqual(f.read(), before)

    def test_a_terminal_is_asked_before_anything_is_made(self):
        command = [self.suite.cli, "quickstart", "example.test", "ann@example.test", "--directory",
                   self.state]
        ask = "Password for ann@example.test (at least 8 characters): "
        status, shown = on_terminal(command, self.suite.env, [(ask, "short")] * 3)
        self.assertEqual(status, 65, shown)
        self.assertLess(shown.index("[1/3]"), shown.index(ask))
        self.assertNotIn("domain example.test", shown)
        self.assertEqual(self.run_tambo("domain", "list").stdout, "")
        status, shown = on_terminal(command, self.suite.env,
                                    [(ask, "long enough"), ("Once more: ", "long enough")])
        self.assertEqual(status, 0, shown)
        for text in ("made     account ann@example.test", "tambo status", "tambo certificate",
                     "ann@example.test (tambo postmaster names another account)"):
            self.assertIn(text, shown)

    def test_a_second_run_tells_what_differs(self):
        first = self.quickstart("--stdin", stdin="ann's secret\n")
        self.assertNotIn("password of", first)
        for words in (("user", "disable", "ann@example.test"),
                      ("alias", "rm", "abuse@example.test"),
                      ("alias", "rm", "hostmaster@example.test"),
                      ("alias", "add", "hostmaster@example.test", "elsewhere@remote.example")):
            self.assertEqual(self.run_tambo(*words).returncode, 0)
        marks = self.marks(self.quickstart("--hostname", "mx.example.test"))
        differs = sorted(step for step, mark in marks.items() if mark == "DIFFERS")
        self.assertEqual(len(differs), 3, marks)
        self.assertIn("account ann@example.test is disabled; tambo user enable ann@example.test",
                      differs[0])
        self.assertIn("hostmaster@example.test goes to elsewhere@remote.example", differs[1])
        self.assertIn("hostname is mail.example.test", differs[2])
        self.assertEqual([step for step, mark in marks.items() if mark == "made"],
                         ["alias abuse@example.test to ann@example.test"])
        listed = self.run_tambo("alias", "list").stdout
        self.assertIn("hostmaster@example.test\telsewhere@remote.example\t\n", listed)

    def test_what_it_refuses(self):
        for words, text in ((("not a domain", "ann@example.test"), "is not a domain name"),
                            (("example.test", "ann"), "is not a mail address"),
                            (("example.test", "ann@other.test"), "is not an address of"),
                            (("example.test", "ann@example.test", "--directory", "here"),
                             "not an absolute path")):
            with self.subTest(words=words):
                result = self.run_tambo("quickstart", *words)
                self.assertEqual(result.returncode, 64)
                self.assertIn(text, result.stderr)
        self.assertFalse(os.path.exists(self.suite.config))


if __name__ == "__main__":
    unittest.main(verbosity=2)
