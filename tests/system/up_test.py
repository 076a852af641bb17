"""The contract of ./dev up and ./dev down: tools outside of this repository rely on it."""
import json
import os
import smtplib
import ssl
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UP = os.path.join(ROOT, "tests", "harness", "up.py")

# Every key that the contract names, with a value that is not its default.
SETTINGS = {
    "smtp.message_size_max": "1M",
    "smtp.recipients_max": "150",
    "smtp.greeting_wait": "1s",
    "queue.retry_min": "7s",
    "queue.retry_max": "70s",
    "queue.lifetime": "2h",
    "relay.port": "2525",
    "relay.smarthost": "relay.example.test:587",
    "relay.smarthost_user": "somebody",
    "dns.servers": "127.0.0.1:5399",
    "limits.loopback": "true",
    "limits.connections_per_address": "500",
    "store.quota": "3M",
    "imap.generation": "1h",
}


class Up(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="tambo-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.addCleanup(subprocess.run, ["rm", "-rf", self.dir])

    def up(self, *options):
        result = subprocess.run([sys.executable, UP, "--release", "--dir", self.dir, *options],
                                capture_output=True, text=True, timeout=120)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.addCleanup(self.down)
        lines = result.stdout.splitlines()
        self.assertEqual(len(lines), 1, "one JSON object on standard output")
        return json.loads(lines[0])

    def down(self):
        return subprocess.run([sys.executable, UP, "--down", "--dir", self.dir],
                              capture_output=True, text=True, timeout=60).returncode

    def test_defaults(self):
        suite = self.up()
        self.assertEqual(set(suite), {"dir", "pid", "config", "cli", "env", "hostname", "ca",
                                      "ports", "users"})
        self.assertEqual(set(suite["ports"]), {"smtp", "submission", "submissions", "imap", "imaps",
                                               "pop3", "pop3s"})
        self.assertEqual([u["address"] for u in suite["users"]],
                         ["alice@example.test", "bob@example.test"])
        tls = ssl.create_default_context(cafile=suite["ca"])
        for name in ("127.0.0.1", "localhost", suite["hostname"]):
            with self.subTest(name=name):
                with smtplib.SMTP("127.0.0.1", suite["ports"]["submission"], timeout=20) as smtp:
                    smtp._host = name  # what the certificate is compared with
                    smtp.starttls(context=tls)
                    smtp.login(suite["users"][0]["address"], suite["users"][0]["password"])
        status = subprocess.run([suite["cli"], "status", "--json"], text=True, capture_output=True,
                                env={**os.environ, **suite["env"]}, timeout=20)
        self.assertEqual(status.returncode, 0, status.stderr)
        self.assertEqual(json.loads(status.stdout.splitlines()[0])["pid"], suite["pid"])
        self.assertEqual(self.down(), 0)
        self.assertFalse(os.path.exists("/proc/%d/exe" % suite["pid"]))
        self.assertNotEqual(self.down(), 0, "there is nothing to stop")

    def test_options(self):
        password = os.path.join(self.dir, "smarthost-password")
        with open(password, "w") as f:
            f.write("secret\n")
        os.chmod(password, 0o600)
        certificates = os.path.join(self.dir, "tls")
        settings = {**SETTINGS, "relay.smarthost_password_file": password,
                    "tls.certificate": certificates + "/cert.pem",
                    "tls.key": certificates + "/key.pem"}
        options = ["--domain", "a.test", "--domain", "b.test", "--user", "x@a.test=one",
                   "--user", "y@b.test=two", "--dns", "127.0.0.1:5353"]
        for key, value in settings.items():
            options += ["--set", key + "=" + value]
        suite = self.up(*options)
        self.assertEqual(suite["hostname"], "mail.a.test")
        tls = ssl.create_default_context(cafile=suite["ca"])
        for user in suite["users"]:
            with smtplib.SMTP_SSL("127.0.0.1", suite["ports"]["submissions"], context=tls,
                                  timeout=20) as smtp:
                smtp.login(user["address"], user["password"])
        with smtplib.SMTP("127.0.0.1", suite["ports"]["smtp"], timeout=20) as smtp:
            smtp.ehlo()
            self.assertEqual(smtp.esmtp_features["size"], str(1 << 20))

    def test_a_wrong_key_is_refused(self):
        result = subprocess.run([sys.executable, UP, "--release", "--dir", self.dir, "--set",
                                 "smtp.message_sise_max=1M"], capture_output=True, text=True,
                                timeout=120)
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(result.stdout, "")
        self.assertIn('did you mean "smtp.message_size_max"', result.stderr)


if __name__ == "__main__":
    unittest.main()
