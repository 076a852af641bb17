"""./dev demo: one message along the whole road, with what each daemon said about it.

A suite of its own in a temporary directory; alice submits a message with an attachment, bob reads
it by IMAP and by POP3. Ends with a plain verdict and 0, or says what went wrong and ends with 1.
"""
import email.message
import email.policy
import hashlib
import imaplib
import os
import poplib
import shutil
import smtplib
import ssl
import sys
import tempfile
import time

from suite import Suite, SuiteError

FROM, TO, PASSWORD = "alice@example.test", "bob@example.test", "correct horse battery"


def say(text):
    print("\033[1m==\033[0m " + text if sys.stdout.isatty() else "== " + text, flush=True)


def show(text):
    for line in text.splitlines():
        print("   " + line, flush=True)


def compose():
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["From"] = "Alice <%s>" % FROM
    message["To"] = "Bob <%s>" % TO
    message["Subject"] = "The road"
    message["Message-ID"] = "<the-road@example.test>"
    message.set_content("Hello Bob,\n\nthe picture is attached.\n")
    message.add_attachment(os.urandom(100_000), maintype="image", subtype="png",
                           filename="picture.png")
    return message


def send(suite, message, tls):
    with smtplib.SMTP("localhost", suite.ports["submission"], timeout=30) as smtp:
        smtp.starttls(context=tls)
        smtp.login(FROM, PASSWORD)
        smtp.mail(FROM)
        smtp.rcpt(TO)
        code, text = smtp.data(message.as_bytes())
    if code != 250:
        raise SuiteError("the message was refused: %d %s" % (code, text.decode()))
    show("250 " + text.decode())
    return text.decode().split()[-1]


def read_by_imap(suite, tls):
    with imaplib.IMAP4_SSL("localhost", suite.ports["imaps"], ssl_context=tls, timeout=30) as imap:
        imap.login(TO, PASSWORD)
        deadline = time.monotonic() + 20
        while imap.select("INBOX")[1] == [b"0"]:
            if time.monotonic() > deadline:
                raise SuiteError("the message is not in bob's INBOX after 20 s")
            time.sleep(0.02)
        data = imap.fetch("1", "(UID BODY.PEEK[])")[1][0]
        show(data[0].decode())
        return data[1]


def read_by_pop3(suite, tls):
    pop3 = poplib.POP3_SSL("localhost", suite.ports["pop3s"], context=tls, timeout=30)
    pop3.user(TO)
    pop3.pass_(PASSWORD)
    response, lines, _ = pop3.retr(1)
    show(response.decode())
    pop3.quit()
    return b"\r\n".join(lines) + b"\r\n"


def check_same(sent, received, how):
    """What went in comes out byte for byte, below the trace fields that the server puts in front."""
    if not received.endswith(sent):
        raise SuiteError("what %s gave is not what was sent" % how)
    show("%d bytes below %d bytes of trace fields, sha256 %s..., as sent"
         % (len(sent), len(received) - len(sent), hashlib.sha256(sent).hexdigest()[:16]))


def run(suite):
    say("starting a suite: each daemon a process of its own, sandboxed")
    suite.start()
    show(suite.tambo("status"))
    tls = ssl.create_default_context(cafile=suite.ca)

    say("%s submits a message with an attachment (port submission, STARTTLS, AUTH)" % FROM)
    message = compose()
    queue_id = send(suite, message, tls)
    sent = message.as_bytes()

    say("%s reads it by IMAP" % TO)
    received = read_by_imap(suite, tls)
    check_same(sent, received, "IMAP")
    show(received[:received.index(sent[:20])].decode().rstrip())

    say("and by POP3")
    check_same(sent, read_by_pop3(suite, tls), "POP3")

    say("the road it took: tambo trace " + queue_id)
    show(suite.tambo("trace", queue_id))

    say("stopping")
    status = suite.stop()
    if status != 0:
        raise SuiteError("master ended with %s" % status)


def main():
    directory = tempfile.mkdtemp(prefix="tambo-demo.")
    os.chmod(directory, 0o755)
    suite = Suite(directory, users=[(FROM, PASSWORD), (TO, PASSWORD)])
    try:
        run(suite)
    except (SuiteError, OSError, smtplib.SMTPException, imaplib.IMAP4.error,
            poplib.error_proto) as error:
        print("%s\n%s" % (suite.log_tail(), error), file=sys.stderr)
        print("verdict: FAILED")
        return 1
    finally:
        suite.destroy()
        shutil.rmtree(directory, ignore_errors=True)
    print("verdict: the message arrived, the same by IMAP and POP3")
    return 0


sys.exit(main())
