"""Exim and OpenSMTPD as other servers. They cannot be installed beside Postfix: each gets a root
directory of its own, this machine's files with the unpacked package on top (overlayfs).

./dev puts the packages into build/peers. Inside of network.enter() only.
"""
import glob
import os
import shutil
import tempfile

from network import CLIENT, Process, run
from suite import ROOT, make_certificates


class Unpacked(Process):
    """A server in a root of its own. resolv: address of its name server; ca: whom it trusts."""
    users = []  # (name, uid): with a group of the same name and number

    def __init__(self, package, hostname, address, resolver, ca):
        self.top = tempfile.mkdtemp(prefix="tambo-peer-")
        run("mount", "-t", "tmpfs", "-o", "mode=755", "none", self.top)
        self.root = os.path.join(self.top, "root")
        self.files = os.path.join(self.top, "upper")
        for name in ("root", "upper", "work"):
            os.mkdir(os.path.join(self.top, name), 0o755)
        found = glob.glob(os.path.join(ROOT, "build", "peers", package + "_*.deb"))
        if not found:
            raise FileNotFoundError("build/peers/%s_*.deb: ./dev deps" % package)
        run("dpkg", "-x", found[0], self.files)
        # A directory over the machine's link to usr/lib would hide what is in there.
        shutil.rmtree(self.path("lib"), ignore_errors=True)
        for name, uid in self.users:
            os.makedirs(self.path("home", name), exist_ok=True)
        self.write("etc/resolv.conf", "nameserver %s\n" % resolver)
        self.write("etc/mailname", hostname + "\n")
        self.copy(ca, "etc/ssl/certs/ca-certificates.crt")
        for name in ("passwd", "group"):
            with open("/etc/" + name) as f:
                self.write("etc/" + name, f.read() + "".join(self.row(name, *u)
                                                             for u in self.users))
        make_certificates(self.path("etc", "peer"), hostname)
        for name, uid in self.users:
            os.chown(self.path("home", name), uid, uid)
        self.configure(hostname, address)
        run("mount", "-t", "overlay", "overlay", "-o", "lowerdir=/,upperdir=%s,workdir=%s" % (
            self.files, os.path.join(self.top, "work")), self.root)
        for name in ("proc", "dev"):
            run("mount", "--rbind", "/" + name, os.path.join(self.root, name))
        super().__init__(package, ["chroot", self.root, *self.command],
                         os.path.join(self.top, "log"), address, 25)

    @staticmethod
    def row(file, name, uid):
        if file == "group":
            return "%s:x:%d:\n" % (name, uid)
        return "%s:x:%d:%d::/home/%s:/bin/sh\n" % (name, uid, uid, name)

    def path(self, *names):
        return os.path.join(self.files, *names)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as f:
            f.write(text)

    def copy(self, source, name):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        shutil.copyfile(source, self.path(name))

    def mail(self):
        """What lies in the mailbox, as bytes with the line ends of Unix, the oldest first."""
        paths = glob.glob(os.path.join(self.root, self.maildir, "new", "*"))
        paths.sort(key=os.path.getmtime)
        texts = []
        for path in paths:
            with open(path, "rb") as f:
                texts.append(f.read())
        return texts

    def tail(self):
        text = super().tail()
        for path in glob.glob(os.path.join(self.root, "var/log/exim4/*")):
            with open(path, errors="replace") as f:
                text += f.read()[-4000:]
        return text

    def stop(self):
        super().stop()
        for path in (os.path.join(self.root, "proc"), os.path.join(self.root, "dev"), self.root,
                     self.top):
            run("umount", "--recursive", "--lazy", path)
        os.rmdir(self.top)


EXIM_CONF = """primary_hostname = {hostname}
local_interfaces = {address}
domainlist local_domains = {domain}
tls_advertise_hosts = *
tls_certificate = /etc/peer/cert.pem
tls_privatekey = /etc/peer/key.pem
smtputf8_advertise_hosts = *
acl_smtp_rcpt = check_rcpt
keep_environment =
log_file_path = /var/log/exim4/%slog
spool_directory = /var/spool/exim4

begin acl
check_rcpt:
  accept domains = +local_domains
  accept hosts = {client}
  deny message = relay not permitted

begin routers
remote:
  driver = dnslookup
  domains = ! +local_domains
  transport = out
  no_more
here:
  driver = accept
  transport = mailbox

begin transports
out:
  driver = smtp
  interface = {address}
  hosts_require_tls = *
  tls_verify_certificates = /etc/ssl/certs/ca-certificates.crt
  tls_verify_hosts = *
mailbox:
  driver = appendfile
  user = Debian-exim
  directory = /home/Debian-exim/mailbox
  maildir_format
  return_path_add
  envelope_to_add

begin retry
* * F,1h,2s
"""


class Exim(Unpacked):
    users = [("Debian-exim", 59_001)]
    command = ["/usr/sbin/exim4", "-bdf", "-q2s"]
    maildir = "home/Debian-exim/mailbox"

    def __init__(self, hostname, address, domain, resolver, ca):
        self.domain = domain
        super().__init__("exim4-daemon-light", hostname, address, resolver, ca)

    def configure(self, hostname, address):
        self.write("etc/exim4/exim4.conf", EXIM_CONF.format(
            hostname=hostname, address=address, domain=self.domain, client=CLIENT))
        uid = self.users[0][1]
        os.chown(self.path("etc/peer/key.pem"), uid, uid)
        for name in ("var/spool/exim4", "var/log/exim4"):
            os.makedirs(self.path(name), exist_ok=True)
            os.chown(self.path(name), uid, uid)


OPENSMTPD_CONF = """pki "{hostname}" cert "/etc/peer/cert.pem"
pki "{hostname}" key "/etc/peer/key.pem"
table virtuals {{ "@" = "vmail" }}
listen on {address} tls pki "{hostname}"
action "in" maildir virtual <virtuals>
action "out" relay tls src {address}
match from any for domain {{ "{domain}", "old.{domain}" }} action "in"
match from src {client} for any action "out"
"""


class OpenSmtpd(Unpacked):
    """Debian 12's offers STARTTLS but fails every handshake (OpenSSL 3 made its key process
    useless, https://github.com/OpenSMTPD/OpenSMTPD/issues/1171): a peer as they are out there."""
    users = [("opensmtpd", 59_002), ("opensmtpq", 59_003), ("vmail", 59_004)]
    command = ["/usr/sbin/smtpd", "-d"]
    maildir = "home/vmail/Maildir"

    def __init__(self, hostname, address, domain, resolver, ca):
        self.domain = domain
        super().__init__("opensmtpd", hostname, address, resolver, ca)

    def configure(self, hostname, address):
        self.write("etc/smtpd.conf", OPENSMTPD_CONF.format(
            hostname=hostname, address=address, domain=self.domain, client=CLIENT))
