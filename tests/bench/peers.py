"""The usual stack beside Tambo: Debian's Postfix before Dovecot (LMTP), in a directory of their own.

As durable as Debian makes them: Postfix syncs its queue files, Dovecot syncs what it delivers. The
three classes differ in Dovecot's mailbox format, because each is the best at something else.
"""
import os
import pwd
import re
import shutil
import signal
import subprocess
import time

from server import DOMAIN, Server, suite

POSTFIX = "/usr/lib/postfix/sbin"
MAIN_CF = """compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file_prefixes = {dir}
maillog_file = {dir}/maillog
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.{domain}
mydestination =
alias_maps =
mynetworks =
smtpd_client_connection_count_limit = 0
smtpd_relay_restrictions = reject_unauth_destination
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = texthash:{dir}/boxes
virtual_alias_maps = texthash:{dir}/aliases
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
relayhost = {relayhost}
"""
DOVECOT_CONF = """base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/dovecot.log
protocols = imap pop3 lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <{dir}/tls/cert.pem
ssl_key = <{dir}/tls/key.pem
disable_plaintext_auth = no
auth_username_format = %Lu
auth_failure_delay = 0
first_valid_uid = 1
mail_max_userip_connections = 20000
mail_location = {location}
passdb {{
  driver = passwd-file
  args = {dir}/passwd
}}
userdb {{
  driver = passwd-file
  args = {dir}/passwd
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  process_limit = 3000
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 3000
}}
service pop3-login {{
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
"""


class PostfixDovecot(Server):
    location = ""
    programs = ("/usr/sbin/postfix", "/usr/sbin/dovecot")

    def __init__(self, directory, users):
        super().__init__(directory, users)
        self.aliases, self.relayhost = {}, ""
        self.ca = self._path("tls", "ca.pem")
        self.dovecot = None

    def _path(self, *names):
        return os.path.join(self.directory, *names)

    def start(self):
        if not self.ports:
            names = ("smtp", "imap", "imaps", "pop3s", "lmtp")
            chosen = dict(zip(names, suite.free_ports(len(names))))
            self.lmtp = chosen.pop("lmtp")
            self.ports = chosen
            self._configure()
        self._launch()
        self.wait_answers()

    def start_again(self):
        began = time.monotonic()
        self._launch()
        self.wait_answers()
        return time.monotonic() - began

    def _configure(self):
        suite.make_certificates(self._path("tls"), "mx." + DOMAIN)
        for name in ("etc", "spool", "data", "mail", "state"):
            os.makedirs(self._path(name), exist_ok=True)
        shutil.chown(self._path("data"), "postfix")
        mail = pwd.getpwnam("mail")
        os.chown(self._path("mail"), mail.pw_uid, mail.pw_gid)
        values = {**self.ports, "dir": self.directory, "domain": DOMAIN, "lmtp": self.lmtp,
                  "location": self.location, "relayhost": self.relayhost}
        self._write("etc/main.cf", MAIN_CF.format(**values))
        self._write("dovecot.conf", DOVECOT_CONF.format(**values))
        self._write("boxes", "".join("%s x\n" % address for address, _ in self.users))
        self._write("aliases", "".join("%s %s\n" % pair for pair in self.aliases.items()))
        self._write("passwd", "".join("%s:{PLAIN}%s:%d:%d::%s\n" % (
            address, password, mail.pw_uid, mail.pw_gid, self._path("mail", address))
            for address, password in self.users))
        with open("/usr/share/postfix/master.cf.dist") as f:
            services = f.read()
        services = re.sub(r"^smtp      inet .*", "127.0.0.1:%d inet n - n - - smtpd"
                          % self.ports["smtp"], services, flags=re.M)
        # No chroot: it would need copies of system files.
        services = re.sub(r"^([a-z]\S* +(?:unix|unix-dgram|pass) +[-ny] +[-ny] +)y", r"\1n",
                          services, flags=re.M)
        self._write("etc/master.cf", services)
        for name in ("dynamicmaps.cf", "postfix-files"):
            if os.path.exists("/etc/postfix/" + name):
                shutil.copy("/etc/postfix/" + name, self._path("etc"))

    def _write(self, name, text):
        with open(self._path(name), "w") as f:
            f.write(text)

    def _launch(self):
        with open(self._path("out"), "ab") as out:
            self.dovecot = subprocess.Popen(
                ["/usr/sbin/dovecot", "-F", "-c", self._path("dovecot.conf")],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
            done = subprocess.run(["/usr/sbin/postfix", "-c", self._path("etc"), "start"],
                                  stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        if done.returncode != 0:
            raise RuntimeError("postfix does not start: see %s" % self._path("maillog"))

    def stop(self):
        subprocess.run(["/usr/sbin/postfix", "-c", self._path("etc"), "stop"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if self.dovecot:
            self.dovecot.send_signal(signal.SIGTERM)
            self.dovecot.wait(30)
            self.dovecot = None

    def destroy(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def roots(self):
        with open(self._path("spool", "pid", "master.pid")) as f:
            return [int(f.read()), self.dovecot.pid]

    def label(self, comm, argv, parent):
        return comm

    def relay_to(self, port, aliases):
        self.relayhost, self.aliases = "[127.0.0.1]:%d" % port, aliases

    def queued(self):
        """The number of messages in the queue."""
        return sum(len(names) for queue in ("incoming", "active", "deferred", "maildrop")
                   for _, _, names in os.walk(self._path("spool", queue)))

    def version(self):
        text = [subprocess.run(command, capture_output=True, text=True).stdout.split()
                for command in (["/usr/sbin/postconf", "-d", "-h", "mail_version"],
                                ["/usr/sbin/dovecot", "--version"])]
        return "Postfix %s, Dovecot %s, %s" % (text[0][0], text[1][0], self.name)


class Maildir(PostfixDovecot):
    name, location = "maildir", "maildir:~/maildir"


class Sdbox(PostfixDovecot):
    name, location = "sdbox", "sdbox:~/sdbox"


class Mdbox(PostfixDovecot):
    name, location = "mdbox", "mdbox:~/mdbox"


PEERS = (Maildir, Sdbox, Mdbox)
