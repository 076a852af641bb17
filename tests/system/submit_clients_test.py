"""Clients that send: swaks, curl, msmtp, mutt, smtplib, each with its certificate check switched on.

What they sent is read back by IMAP and compared byte for byte below the trace fields.
"""
import base64
import os
import smtplib
import ssl
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from clients import (Lab, first_difference, local_lines, maildir, plain_message,  # noqa: E402
                     rich_message, trace_and_rest)

READERS = ["swaks-submission", "swaks-submissions", "swaks-mx", "swaks-mx-tls", "curl", "curls",
           "msmtp", "msmtps", "mutt", "mutts", "lib", "libs", "utf8", "refused"]
TRACE = [b"return-path", b"delivered-to", b"received"]


class Submission(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(["alice", *READERS])
        cls.addClassCleanup(cls.lab.destroy)
        cls.lab.start()

    def succeed(self, result, text=b""):
        self.assertEqual(result.returncode, 0, result.stdout.decode(errors="replace"))
        self.assertIn(text, result.stdout)
        return result

    def message_for(self, reader, utf8_headers=False):
        return rich_message("alice@example.test", reader + "@example.test", "for " + reader,
                            utf8_headers)

    def arrived(self, reader, message, trace=TRACE):
        """The one message of reader, as it was sent."""
        raw, = self.lab.messages(reader, 1)
        seen, rest = trace_and_rest(raw)
        self.assertEqual(seen, trace)
        self.assertIsNone(first_difference(rest, message))
        return raw

    # ---- swaks

    def swaks(self, reader, port, *options, ca=None):
        # swaks ends the data with a line end of its own.
        data = local_lines(self.message_for(reader)).removesuffix(b"\n")
        message = self.lab.write(reader + ".eml", data)
        return self.lab.run(
            "swaks", "--server", "127.0.0.1", "--port", str(self.lab.ports[port]), "--from",
            "alice@example.test", "--to", reader + "@example.test", "--ehlo", "client.example.test",
            "--data", "@" + message, "--timeout", "20s", "--tls-verify", "--tls-ca-path",
            ca or self.lab.ca, *options)

    def login(self, mechanism):
        return ["--auth", mechanism, "--auth-user", "alice@example.test", "--auth-password",
                "alice-secret"]

    def test_swaks_submission_starttls(self):
        reader = "swaks-submission"
        result = self.swaks(reader, "submission", "--tls", *self.login("PLAIN"))
        self.succeed(result, b"=== TLS started")
        raw = self.arrived(reader, self.message_for(reader))
        self.assertIn(b"ESMTPSA", raw.split(b"Received:")[1])

    def test_swaks_submissions(self):
        reader = "swaks-submissions"
        self.succeed(self.swaks(reader, "submissions", "--tls-on-connect", *self.login("LOGIN")))
        self.arrived(reader, self.message_for(reader))

    def test_swaks_plain_25_to_a_local_recipient(self):
        self.succeed(self.swaks("swaks-mx", "smtp"))
        raw = self.arrived("swaks-mx", self.message_for("swaks-mx"))
        self.assertIn(b"from client.example.test", raw.split(b"Received:")[1])

    def test_swaks_25_with_starttls(self):
        self.succeed(self.swaks("swaks-mx-tls", "smtp", "--tls"), b"=== TLS started")
        self.arrived("swaks-mx-tls", self.message_for("swaks-mx-tls"))

    def test_swaks_refused(self):
        tls = "--tls"
        cases = [
            # swaks(1), EXIT CODES: 23 MAIL, 24 RCPT, 28 AUTH, 29 TLS.
            ("a wrong password", 28, b"535 5.7.8", self.swaks(
                "refused", "submission", tls, "--auth", "PLAIN", "--auth-user",
                "alice@example.test", "--auth-password", "wrong")),
            ("no login", 23, b"530 5.7.0", self.swaks("refused", "submission", tls)),
            ("no login on 25", 28, b"", self.swaks("refused", "smtp", tls, *self.login("PLAIN"))),
            ("an unknown recipient", 24, b"550 5.1.1",
             self.swaks("refused", "smtp", "--to", "nobody-here@example.test")),
            ("relaying", 24, b"550 5.7.1", self.swaks("refused", "smtp", "--to", "x@example.org")),
            ("a certificate of a stranger", 29, b"", self.swaks(
                "refused", "submission", tls, *self.login("PLAIN"), ca=self.lab.stranger_ca)),
        ]
        for what, status, text, result in cases:
            with self.subTest(what):
                output = result.stdout.decode(errors="replace")
                self.assertEqual(result.returncode, status, output)
                self.assertIn(text.decode(), output)
        self.assertEqual(self.lab.messages("refused", 0), [])

    # ---- curl

    def curl(self, url, *options, ca=None):
        return self.lab.run("curl", "--silent", "--show-error", "--max-time", "30", "--cacert",
                            ca or self.lab.ca, "--ssl-reqd", url, *options)

    def test_curl(self):
        for reader, url, port in (("curl", "smtp", "submission"), ("curls", "smtps", "submissions")):
            with self.subTest(url):
                message = self.message_for(reader)
                arguments = ["%s://127.0.0.1:%d/client.example.test" % (url, self.lab.ports[port]),
                             "--user", "alice@example.test:alice-secret", "--mail-from",
                             "alice@example.test", "--mail-rcpt", reader + "@example.test",
                             "--upload-file", self.lab.write(reader + ".eml", message)]
                self.succeed(self.curl(*arguments))
                self.arrived(reader, message)
                # 60: the certificate does not verify.
                self.assertEqual(self.curl(*arguments, ca=self.lab.stranger_ca).returncode, 60)

    # ---- msmtp

    def msmtp(self, reader, port, starttls, ca=None):
        rc = self.lab.write(reader + ".msmtprc", """
defaults
tls on
tls_trust_file %s
auth on
syslog off
account example
host 127.0.0.1
port %d
tls_starttls %s
from alice@example.test
user alice@example.test
password alice-secret
timeout 30
account default : example
""" % (ca or self.lab.ca, self.lab.ports[port], starttls))
        return self.lab.run("msmtp", "-C", rc, "--read-envelope-from", "-t",
                            stdin=local_lines(self.message_for(reader)))

    def test_msmtp(self):
        for reader, port, starttls in (("msmtp", "submission", "on"),
                                       ("msmtps", "submissions", "off")):
            with self.subTest(port):
                self.succeed(self.msmtp(reader, port, starttls))
                self.arrived(reader, self.message_for(reader))
                refused = self.msmtp(reader, port, starttls, self.lab.stranger_ca)
                self.assertNotEqual(refused.returncode, 0)
                self.assertIn(b"TLS certificate verification failed", refused.stdout)

    # ---- mutt

    def test_mutt(self):
        attachment = bytes(range(256)) * 100
        for reader, url, port in (("mutt", "smtp", "submission"), ("mutts", "smtps", "submissions")):
            with self.subTest(url):
                sent = self.lab.make_maildir(reader, "sent")
                rc = self.lab.write(reader + "/muttrc", """
set smtp_url="%s://alice@example.test@127.0.0.1:%d/" smtp_pass="alice-secret"
set ssl_ca_certificates_file="%s" ssl_starttls=yes ssl_force_tls=yes
set from="alice@example.test" realname="Jürgen Müller" use_from=yes use_envelope_from=yes
set charset=utf-8 send_charset=utf-8 hostname=client.example.test
set mbox_type=Maildir record="%s" copy=yes confirmcreate=no allow_8bit=yes
""" % (url, self.lab.ports[port], self.lab.ca, sent))
                file = self.lab.write(reader + "/Grüße.bin", attachment)
                self.succeed(self.lab.run(
                    "mutt", "-n", "-F", rc, "-s", "Grüße, 日本語", "-a", file, "--",
                    reader + "@example.test", stdin="Text mit Umlauten: äöü\n.\n".encode()))
                copy, = maildir(sent)
                self.assertIn(base64.encodebytes(attachment)[:60], copy)
                raw, = self.lab.messages(reader, 1)
                seen, rest = trace_and_rest(raw)
                self.assertEqual(seen, TRACE)
                self.assertIsNone(first_difference(local_lines(rest), copy))

    # ---- smtplib

    def test_smtplib(self):
        context = self.lab.context()
        for reader, port in (("lib", "submission"), ("libs", "submissions")):
            with self.subTest(port):
                tls = port == "submissions"
                client = (smtplib.SMTP_SSL("127.0.0.1", self.lab.ports[port], timeout=30,
                                           context=context) if tls else
                          smtplib.SMTP("127.0.0.1", self.lab.ports[port], timeout=30))
                with client:
                    if not tls:
                        client.ehlo()
                        self.assertFalse(client.has_extn("auth"))
                        client.starttls(context=context)
                    client.login("alice@example.test", "alice-secret")
                    message = self.message_for(reader)
                    self.assertEqual(client.sendmail("alice@example.test",
                                                     [reader + "@example.test"], message,
                                                     mail_options=["BODY=8BITMIME"]), {})
                self.arrived(reader, message)

    def test_utf8_header_fields_through_smtputf8(self):
        message = self.message_for("utf8", utf8_headers=True)
        self.lab.submit("alice", "utf8@example.test", message, ["SMTPUTF8", "BODY=8BITMIME"])
        raw = self.arrived("utf8", message)
        self.assertIn(b"UTF8SMTPSA", raw.split(b"Received:")[1])

    def test_smtplib_trusts_only_the_right_ca(self):
        stranger = ssl.create_default_context(cafile=self.lab.stranger_ca)
        with self.assertRaises(ssl.SSLCertVerificationError):
            smtplib.SMTP_SSL("127.0.0.1", self.lab.ports["submissions"], timeout=30,
                             context=stranger)


class BeforeTls(unittest.TestCase):
    """No password travels in the clear: before TLS there is no AUTH, and it is refused."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(["alice"])
        cls.addClassCleanup(cls.lab.destroy)
        cls.lab.start()

    def test_submission_offers_no_auth_before_tls(self):
        with smtplib.SMTP("127.0.0.1", self.lab.ports["submission"], timeout=30) as client:
            client.ehlo("client.example.test")
            self.assertTrue(client.has_extn("starttls"))
            self.assertFalse(client.has_extn("auth"))
            token = base64.b64encode(b"\0alice@example.test\0alice-secret").decode()
            code, text = client.docmd("AUTH", "PLAIN " + token)
            self.assertGreaterEqual(code, 500, text)
            code, text = client.docmd("MAIL", "FROM:<alice@example.test>")
            self.assertEqual(code, 530, text)
            client.starttls(context=self.lab.context())
            client.ehlo("client.example.test")
            self.assertEqual(client.esmtp_features["auth"].split(), ["PLAIN", "LOGIN"])
            self.assertFalse(client.has_extn("starttls"))
            client.login("alice@example.test", "alice-secret")

    def test_25_never_offers_auth(self):
        with smtplib.SMTP("127.0.0.1", self.lab.ports["smtp"], timeout=30) as client:
            client.ehlo("client.example.test")
            self.assertFalse(client.has_extn("auth"))
            client.starttls(context=self.lab.context())
            client.ehlo("client.example.test")
            self.assertFalse(client.has_extn("auth"))
            code, text = client.docmd("AUTH", "PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABhbGljZS1zZWNyZXQ=")
            self.assertGreaterEqual(code, 500, text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
