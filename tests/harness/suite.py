"""Starts and stops a whole suite for tests, ./dev up and ./dev demo.

A suite lives in a directory of its own: tambo.toml, tls/ (a test CA and a certificate), state/
(spool, mail, accounts, control sockets). Everything on 127.0.0.1, nothing outside the directory.
"""
import atexit
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVICES = ["smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"]


class SuiteError(Exception):
    pass


_running = set()


@atexit.register
def _end_what_runs():
    """A test that was interrupted leaves no suite behind."""
    for suite in list(_running):
        suite.stop()


def free_ports(count):
    """Below those that the kernel gives to clients: a suite that is started anew finds them free."""
    sockets = []
    while len(sockets) < count:
        s = socket.socket()
        try:
            s.bind(("127.0.0.1", random.randrange(12_000, 32_000)))
            sockets.append(s)
        except OSError:
            s.close()
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def make_certificates(directory, hostname):
    """A CA and one certificate for hostname, localhost, 127.0.0.1 and ::1."""
    os.makedirs(directory, exist_ok=True)
    path = lambda name: os.path.join(directory, name)
    if os.path.exists(path("cert.pem")):
        return
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", path("ca.key"), "-out", path("ca.pem"), "-days", "3650",
            "-subj", "/CN=Tambo test CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", path("key.pem"), "-out", path("cert.csr"), "-subj", "/CN=" + hostname)
    with open(path("ext"), "w") as f:
        f.write("subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1,IP:::1\n"
                "extendedKeyUsage=serverAuth\n" % hostname)
    openssl("x509", "-req", "-in", path("cert.csr"), "-CA", path("ca.pem"), "-CAkey",
            path("ca.key"), "-CAcreateserial", "-days", "3650", "-extfile", path("ext"), "-out",
            path("leaf.pem"))
    with open(path("cert.pem"), "w") as out:
        for name in ("leaf.pem", "ca.pem"):
            with open(path(name)) as f:
                out.write(f.read())
    os.chmod(path("key.pem"), 0o600)


def ensure_users():
    """As root each daemon has a user of its own: those of etc/tambo.sysusers must exist."""
    if os.geteuid() != 0:
        return
    with open(os.path.join(ROOT, "etc", "tambo.sysusers")) as f:
        rows = [line.split() for line in f if line[:1] in "ug"]
    for kind, name in (row[:2] for row in rows):
        found = subprocess.run(["getent", "passwd" if kind == "u" else "group", name],
                               stdout=subprocess.DEVNULL).returncode == 0
        if found:
            continue
        command = (["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/",
                    "--shell", "/usr/sbin/nologin"] if kind == "u" else ["groupadd", "--system"])
        # Two suites may start at once: whoever comes second finds it made.
        subprocess.run([*command, name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def crashes(lines):
    """Events of processes that ended by a signal that nobody sent: tests and master send only 9 and
    15."""
    ended = re.compile(r' (?:process\.ended|account\.process_ended) .*how="signal (\d+)"')
    return [line for line in lines
            if (found := ended.search(line)) and int(found.group(1)) not in (9, 15)]


def toml_string(text):
    return json.dumps(text)


class Suite:
    def __init__(self, directory, preset="release", domains=None, users=None, dns=None,
                 settings=None, hostname=None, address="127.0.0.1", listen=None):
        self.dir = os.path.abspath(directory)
        self.preset = preset
        self.domains = domains or ["example.test"]
        self.users = users or [("alice@" + self.domains[0], "alice-secret"),
                               ("bob@" + self.domains[0], "bob-secret")]
        self.dns = dns or []
        self.settings = dict(settings or {})
        self.hostname = hostname or "mail." + self.domains[0]
        self.address = address
        # Further endpoints of a service: {"smtp": ["192.0.2.1:25"]}.
        self.listen = listen or {}
        self.bin = os.path.join(ROOT, "build", preset, "bin")
        self.config = os.path.join(self.dir, "tambo.toml")
        self.state = os.path.join(self.dir, "state")
        self.ca = os.path.join(self.dir, "tls", "ca.pem")
        self.cli = os.path.join(self.bin, "tambo")
        self.env = {"TAMBO_CONFIG": self.config}
        self.wrap = []  # a command that executes master
        self.master_env = {}
        self.ports = {}
        self.process = None
        self.pid = None

    # ---- life

    def write_config(self):
        os.makedirs(self.state, exist_ok=True)
        make_certificates(os.path.join(self.dir, "tls"), self.hostname)
        if not self.ports:
            self.ports = dict(zip(SERVICES, free_ports(len(SERVICES))))
        values = {
            "hostname": self.hostname,
            "directory": self.state,
            "tls.certificate": [os.path.join(self.dir, "tls", "cert.pem")],
            "tls.key": [os.path.join(self.dir, "tls", "key.pem")],
            "accounts.aliases_file": os.path.join(self.dir, "aliases"),
            "log.target": "file",
            "queue.disk_reserve": "16M",
        }
        for service in SERVICES:
            values["listen." + service] = ["%s:%d" % (self.address, self.ports[service]),
                                           *self.listen.get(service, [])]
        if self.dns:
            values["dns.servers"] = list(self.dns)
        if not os.path.exists(values["accounts.aliases_file"]):
            open(values["accounts.aliases_file"], "w").close()
        lines = []
        for key, value in values.items():
            if isinstance(value, list):
                text = "[" + ", ".join(toml_string(v) for v in value) + "]"
            else:
                text = toml_string(value)
            lines.append("%s = %s" % (key, text))
        with open(self.config, "w") as f:
            f.write("\n".join(lines) + "\n")

    def start_master(self):
        """Starts master and waits until every port answers."""
        self.launch_master()
        self.wait_ports()

    def launch_master(self):
        ensure_users()
        command = [*self.wrap, os.path.join(self.bin, "master"), "--config", self.config]
        for key, value in self.settings.items():
            command += ["--set", "%s=%s" % (key, value)]
        with open(os.path.join(self.dir, "master.log"), "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True,
                                            env={**os.environ, **self.master_env})
        self.pid = self.process.pid
        _running.add(self)

    def wait_ports(self, seconds=60):
        deadline = time.monotonic() + seconds
        for service in SERVICES:
            while True:
                if self.process is not None and self.process.poll() is not None:
                    raise SuiteError("master ended with %d:\n%s" %
                                     (self.process.returncode, self.log_tail()))
                try:
                    socket.create_connection((self.address, self.ports[service]), 5).close()
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise SuiteError("%s does not answer:\n%s" % (service, self.log_tail()))
                    time.sleep(0.05)

    def start(self):
        os.makedirs(self.dir, exist_ok=True)
        chosen = not self.ports
        for attempt in range(5):
            self.write_config()
            try:
                self.start_master()
                break
            except SuiteError as error:
                # Between our look and master's listen() somebody else may have taken a free port.
                if not chosen or attempt == 4 or "Address already in use" not in str(error):
                    raise
                self.process, self.ports = None, {}
        self.add_accounts()
        return self

    def add_accounts(self):
        known = {row.split("\t")[0] for row in self.tambo("domain", "list").splitlines()}
        for domain in self.domains:
            if domain not in known:
                self.tambo("domain", "add", domain)
        known = {row.split("\t")[0] for row in self.tambo("user", "list").splitlines()}
        for address, password in self.users:
            if address not in known:
                self.tambo("user", "add", address, "--stdin", "--weak", stdin=password + "\n")

    def stop(self, seconds=30):
        """Clean shutdown; returns master's exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise SuiteError("master did not stop within %d s:\n%s" % (seconds, self.log_tail()))
        self.process = None
        _running.discard(self)
        return status

    def kill(self):
        """As a power cut does: nobody is asked. Daemons end when they see that master has gone."""
        self.process.kill()
        self.process.wait()
        self.process = None
        _running.discard(self)

    def detach(self):
        """The suite outlives this program."""
        _running.discard(self)

    def destroy(self):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if os.environ.get("TAMBO_KEEP"):
            self.stop()
        else:
            self.destroy()

    # ---- asking

    def tambo(self, *args, stdin=None, check=True):
        result = subprocess.run([self.cli, *args], input=stdin, text=True, capture_output=True,
                                env={**os.environ, **self.env}, timeout=60)
        if check and result.returncode != 0:
            raise SuiteError("tambo %s: %d %s" % (" ".join(args), result.returncode,
                                                  result.stderr))
        return result.stdout if check else result

    def status(self):
        return [json.loads(line) for line in self.tambo("status", "--json").splitlines()]

    def pid_of(self, instance):
        for row in self.status():
            if row["process"] == instance:
                return int(row["pid"])
        raise SuiteError("no process " + instance)

    def log_file(self):
        return os.path.join(self.state, "log", "events.log")

    def events(self):
        if not os.path.exists(self.log_file()):
            return []
        with open(self.log_file(), errors="replace") as f:
            return f.read().splitlines()

    def log_tail(self):
        text = ""
        for path in (os.path.join(self.dir, "master.log"),):
            if os.path.exists(path):
                with open(path, errors="replace") as f:
                    text += f.read()[-4000:]
        return text + "\n".join(self.events()[-20:])

    def info(self):
        return {
            "dir": self.dir,
            "pid": self.pid,
            "config": self.config,
            "cli": self.cli,
            "env": self.env,
            "hostname": self.hostname,
            "ca": self.ca,
            "ports": self.ports,
            "users": [{"address": a, "password": p} for a, p in self.users],
        }


def wait_for(condition, seconds=30, what="condition", step=0.05):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise SuiteError("timed out waiting for " + what)
        time.sleep(step)


def eprint(*args):
    print(*args, file=sys.stderr, flush=True)
