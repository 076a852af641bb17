"""Certificates: replaced by reload without a restart, RSA and ECDSA side by side, bad ones refused."""
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from suite import Suite, openssl, wait_for  # noqa: E402

IMPLICIT = ("submissions", "imaps", "pop3s")


def make_pair(directory, name, kind):
    """A self-signed certificate and its key; returns their paths."""
    paths = [os.path.join(directory, name + suffix) for suffix in (".pem", ".key")]
    options = (["-newkey", "rsa:2048"] if kind == "rsa" else
               ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
    openssl("req", "-x509", *options, "-nodes", "-out", paths[0], "-keyout", paths[1], "-days", "9",
            "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:mail.example.test")
    os.chmod(paths[1], 0o600)
    return paths


class Certificates(unittest.TestCase):
    def setUp(self):
        directory = tempfile.mkdtemp(prefix="tambo-", dir="/tmp")
        os.chmod(directory, 0o755)
        self.suite = Suite(directory)
        self.addCleanup(self.suite.destroy)
        self.suite.start()
        self.tls_dir = os.path.join(directory, "tls")
        self.cert, self.key = (os.path.join(self.tls_dir, name) for name in ("cert.pem", "key.pem"))

    def served(self, port, algorithms=None):
        """The PEM of the certificate that a client of this port is shown."""
        context = ssl._create_unverified_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        if algorithms:
            context.set_ciphers(algorithms)
        with socket.create_connection(("127.0.0.1", self.suite.ports[port]), 20) as plain:
            with context.wrap_socket(plain) as tls:
                return ssl.DER_cert_to_PEM_cert(tls.getpeercert(True)).strip()

    def pem(self, path):
        with open(path) as f:
            text = f.read()
        return text[:text.index("-----END")].strip() + "\n-----END CERTIFICATE-----"

    def install(self, *pairs):
        """Names these pairs in the configuration and reloads."""
        with open(self.suite.config) as f:
            lines = [line for line in f if not line.startswith("tls.")]
        for key, index in (("certificate", 0), ("key", 1)):
            lines.append("tls.%s = [%s]\n" % (key, ", ".join('"%s"' % p[index] for p in pairs)))
        with open(self.suite.config, "w") as f:
            f.writelines(lines)
        return self.suite.tambo("reload", check=False)

    def test_a_new_certificate_without_a_restart(self):
        before = {row["process"]: row["pid"] for row in self.suite.status()}
        old = self.served("imaps")
        pair = make_pair(self.tls_dir, "fresh", "ec")
        self.write_over(*pair)
        self.assertEqual(self.served("imaps"), old, "nothing changes before the reload")
        self.suite.tambo("reload")
        for port in IMPLICIT:
            wait_for(lambda: self.served(port) == self.pem(pair[0]), what="the new one on " + port)
        after = {row["process"]: row["pid"] for row in self.suite.status()}
        for name in ("keyd", "mx.0", "submit.0", "authd", "queued"):
            self.assertEqual(after[name], before[name], name + " was restarted")

    def test_a_process_that_starts_anew_before_the_reload_serves_the_old_one(self):
        """An ACME client has written the new pair; nobody has called reload yet, or it failed."""
        old = self.served("imaps")
        pair = make_pair(self.tls_dir, "fresh", "ec")
        self.write_over(*pair)
        self.replace_each_and_look(old)
        self.suite.tambo("reload")
        self.replace_each_and_look(self.pem(pair[0]))
        for name in (self.cert, self.key):
            os.unlink(name)
        self.replace_each_and_look(self.pem(pair[0]))

    def test_a_refused_reload_leaves_the_old_pair_to_those_who_start_later(self):
        old = self.served("imaps")
        pair = make_pair(self.tls_dir, "fresh", "ec")
        shutil.copy(pair[0], self.cert)  # the key is still the old one's
        self.assertEqual(self.suite.tambo("reload", check=False).returncode, 78)
        self.replace_each_and_look(old)
        refused = self.suite.tambo("restart", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("tls.certificate: " + self.cert, refused.stderr)
        self.replace_each_and_look(old)
        self.write_over(*pair)
        self.suite.tambo("restart")
        wait_for(lambda: self.serves("imaps", self.pem(pair[0])), 60, "what is in the files now")

    def write_over(self, certificate, key):
        """The same file names, written in place."""
        shutil.copy(certificate, self.cert)
        shutil.copy(key, self.key)

    def serves(self, port, pem):
        try:
            return self.served(port) == pem
        except OSError:
            return False

    def replace_each_and_look(self, pem):
        """Those with either half of the pair start anew, one after the other, and all serve pem."""
        for one in ("imapd.", "keyd", "submit."):  # imapd does so by itself, see imap.generation
            before = self.rows(one)[0]["pid"]
            os.kill(before, signal.SIGKILL)
            wait_for(lambda: any(row["state"] == "running" and row["pid"] != before
                                 for row in self.rows(one)), what="another " + one)
            for port in IMPLICIT:
                with self.subTest(restarted=one, port=port):
                    wait_for(lambda: self.serves(port, pem), what="a handshake on " + port)

    def rows(self, prefix):
        return [row for row in self.suite.status() if row["process"].startswith(prefix)]

    def test_rsa_and_ecdsa_side_by_side(self):
        ec, rsa = (make_pair(self.tls_dir, kind, kind) for kind in ("ec", "rsa"))
        self.assertEqual(self.install(ec, rsa).returncode, 0)
        for port in IMPLICIT:
            with self.subTest(port=port):
                wait_for(lambda: self.served(port, "aECDSA") == self.pem(ec[0]), what="ECDSA")
                self.assertEqual(self.served(port, "aRSA"), self.pem(rsa[0]))

    def test_bad_ones_are_refused_and_the_old_ones_stay(self):
        old = self.served("submissions")
        ec, other = (make_pair(self.tls_dir, name, "ec") for name in ("one", "two"))
        for what, pair in (("of another certificate", (ec[0], other[1])),
                           ("missing", (ec[0], self.tls_dir + "/none")),
                           ("no certificate", (ec[1], ec[1]))):
            with self.subTest(what=what):
                refused = self.install(pair)
                self.assertEqual(refused.returncode, 78, refused.stdout)
                self.assertRegex(refused.stderr, r"tambo\.toml:\d+:\d+: error: ")
                self.assertEqual(self.served("submissions"), old)

    def test_keys_are_keyd_s_alone(self):
        """The secret number of the key, in either byte order, is in keyd's memory and no other's,
        and nobody has its file in memory."""
        text = subprocess.run(["openssl", "pkey", "-in", self.key, "-text", "-noout"], check=True,
                              capture_output=True, text=True)
        digits = text.stdout.split("priv:")[1].split("pub:")[0]
        secret = bytes.fromhex(re.sub(r"[\s:]", "", digits))[-32:]
        with open(self.key, "rb") as f:
            line = f.read().splitlines()[1]
        self.served("imaps")
        for reload in (False, True):
            if reload:
                self.suite.tambo("reload")
            self.look_for(secret, line)

    def look_for(self, secret, line):
        for row in self.suite.status():
            with self.subTest(process=row["process"]):
                memory = self.memory_of(row["pid"])
                holds = secret in memory or secret[::-1] in memory
                self.assertEqual(holds, row["process"] == "keyd")
                self.assertFalse(line in memory, "the text of the file")

    def memory_of(self, pid):
        if os.geteuid() != 0:
            self.skipTest("not run: root")
        found = bytearray()
        with open("/proc/%s/maps" % pid) as maps, open("/proc/%s/mem" % pid, "rb", 0) as memory:
            for line in maps:
                span, rights = line.split()[:2]
                if not rights.startswith("rw") or "[v" in line:
                    continue
                start, end = (int(x, 16) for x in span.split("-"))
                if end - start > 64 << 20:
                    continue
                try:
                    memory.seek(start)
                    found += memory.read(end - start)
                except OSError:
                    pass
        return bytes(found)


if __name__ == "__main__":
    unittest.main()
