"""A real Postfix as the other server: its own configuration, queue and mailboxes, in a directory.

Needs root (or a user namespace in which it looks like that) and Debian's package postfix.
"""
import collections
import contextlib
import os
import pwd
import re
import shutil
import signal
import tempfile

from network import CLIENT, Process
from suite import make_certificates

MAIN_CF = """compatibility_level = 3.6
queue_directory = {top}/queue
data_directory = {top}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {top}/postfix.log
maillog_file_prefixes = {top}
myhostname = {hostname}
mydestination =
mynetworks = {client}
alias_maps =
local_recipient_maps =
inet_interfaces = {addresses}
inet_protocols = all
smtp_bind_address = {first}
smtp_host_lookup = dns
smtputf8_enable = yes
virtual_mailbox_domains = {domains}
virtual_mailbox_maps = static:mailbox/
virtual_mailbox_base = {top}/mail
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_tls_chain_files = {top}/tls/key.pem, {top}/tls/cert.pem
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1
smtp_tls_loglevel = 1
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
minimal_backoff_time = 2s
queue_run_delay = 2s
maximal_backoff_time = 4s
"""
MASTER_CF = """{first}:smtp inet n - n - - smtpd
{others}
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix(Process):
    def __init__(self, hostname, addresses, domains, settings=None, top=None):
        """settings: further lines of main.cf by name. top: a directory to be made, for all of it."""
        if top is None:
            top = tempfile.mkdtemp(prefix="tambo-postfix-")
        else:
            os.mkdir(top)
        self.top, self.address = top, addresses[0]
        os.chmod(self.top, 0o755)
        path = lambda *names: os.path.join(self.top, *names)
        owner = pwd.getpwnam("postfix")
        make_certificates(path("tls"), hostname)
        for name in ("conf", "queue", "data", "mail"):
            os.mkdir(path(name), 0o755)
        for name in ("data", "mail"):
            os.chown(path(name), owner.pw_uid, owner.pw_gid)
        first, *others = addresses
        values = dict(top=self.top, hostname=hostname, addresses=", ".join(addresses), first=first, client=CLIENT,
                      domains=", ".join(domains), uid=owner.pw_uid, gid=owner.pw_gid)
        with open(path("conf", "main.cf"), "w") as f:
            f.write(MAIN_CF.format(**values))
            for name, value in (settings or {}).items():
                f.write("%s = %s\n" % (name, value))
        with open(path("conf", "master.cf"), "w") as f:
            lines = ["[%s]:smtp inet n - n - - smtpd" % other for other in others]
            f.write(MASTER_CF.format(first=first, others="\n".join(lines)))
        self.launch()

    def launch(self):
        """At first, and again behind kill()."""
        path = lambda name: os.path.join(self.top, name)
        # A power cut may have left it root's, and some of its programs, who run as postfix, could not
        # make it where it is missing.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path("postfix.log"))
        owner = pwd.getpwnam("postfix")
        with open(path("postfix.log"), "x"):
            os.chown(path("postfix.log"), owner.pw_uid, owner.pw_gid)
        super().__init__("postfix", ["postfix", "-c", path("conf"), "start-fg"], path("log"),
                         self.address, 25)

    def kill(self):
        """All its processes, at once."""
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            os.kill(pid, signal.SIGSTOP)  # so that it starts no more of them
            with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
                todo += [int(child) for child in f.read().split()]
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def queue_is_empty(self):
        """A file that may not be executed was never finished: Postfix removes it after a while."""
        for name in ("maildrop", "incoming", "active", "deferred", "hold"):
            for directory, _, files in os.walk(os.path.join(self.top, "queue", name)):
                if any(os.access(os.path.join(directory, file), os.X_OK) for file in files):
                    return False
        return True

    def numbers(self):
        """Counter of the ledger's numbers in the mailbox."""
        fields = (re.search(rb"^X-Ledger: (\S+)", text, re.M) for text in self.mail())
        return collections.Counter(field[1].decode() for field in fields if field)

    def mail(self):
        """What lies in the mailbox, as bytes with the line ends of Unix, the oldest first."""
        directory = os.path.join(self.top, "mail", "mailbox", "new")
        if not os.path.isdir(directory):
            return []
        paths = [os.path.join(directory, name) for name in os.listdir(directory)]
        paths.sort(key=os.path.getmtime)
        texts = []
        for path in paths:
            with open(path, "rb") as f:
                texts.append(f.read())
        return texts

    def tail(self):
        text = super().tail()
        path = os.path.join(self.top, "postfix.log")
        if os.path.exists(path):
            with open(path, errors="replace") as f:
                text += f.read()[-6000:]
        return text

    def stop(self):
        # What "postfix start-fg" becomes leaves Postfix's master behind when it is told to end.
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.top, ignore_errors=True)
