"""What is measured: a mail server that can be started, stopped and asked for its ports.

Tambo is one; a peer is another class with the same few members, entered in SERVERS. Measurements
know only this interface and the standard protocols, so that all servers do the same work.
"""
import os
import socket
import ssl
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import suite  # noqa: E402

ADDRESS = "127.0.0.1"
DOMAIN = "example.test"


def accounts(count):
    """What every measurement signs in as: (address, password) of count accounts."""
    return [("user%d@%s" % (i, DOMAIN), "secret-%d" % i) for i in range(count)]


def trust(ca):
    """A client's TLS context that verifies the server's certificate."""
    return ssl.create_default_context(cafile=ca)


class Server:
    """The interface. A fresh instance has no mail; its accounts are those of users."""
    name = ""
    ports = {}  # smtp (plain, port 25's role), imaps, pop3s at least
    ca = ""  # file: certificate authority that clients trust

    def __init__(self, directory, users):
        self.directory, self.users = directory, users

    def start(self):
        """Returns when every port answers and every account exists."""
        raise NotImplementedError

    def start_again(self):
        """After stop(): starts on the same store and ports; returns the seconds from exec of the
        first process to the greeting of the last port."""
        raise NotImplementedError

    def relay_to(self, port, aliases):
        """Before start(): mail for each alias goes on to its target, all of it to this port."""
        raise NotImplementedError

    def stop(self):
        """Clean shutdown; what is stored stays. start() may follow."""
        raise NotImplementedError

    def destroy(self):
        """stop(), and nothing is left in the directory."""
        raise NotImplementedError

    def roots(self):
        """Pids: with their descendants they are the whole server."""
        raise NotImplementedError

    def label(self, comm, argv, parent):
        """Under which name a process is counted; parent is the label of its parent or None."""
        return comm

    def version(self):
        return ""

    def remarks(self):
        """What the server itself has said that explains its figures, one string each."""
        return []

    def wait_answers(self, deadline_s=30):
        """Returns when each port has sent its greeting, behind TLS where the port has that."""
        deadline = time.monotonic() + deadline_s
        context = trust(self.ca)
        for service, port in self.ports.items():
            while not self._greets(service, port, context):
                if time.monotonic() > deadline:
                    raise TimeoutError("%s: %s does not answer" % (self.name, service))
                time.sleep(0.001)

    @staticmethod
    def _greets(service, port, context):
        try:
            with socket.create_connection((ADDRESS, port), 10) as plain:
                if not service.endswith("s"):
                    return bool(plain.recv(512))
                with context.wrap_socket(plain, server_hostname=ADDRESS) as secured:
                    return bool(secured.recv(512))
        except OSError:
            return False


class Tambo(Server):
    name = "tambo"

    def __init__(self, directory, users):
        super().__init__(directory, users)
        self.suite = suite.Suite(directory, preset="release", domains=[DOMAIN], users=users)
        self.ca = self.suite.ca
        self.aliases = {}

    def start(self):
        self.suite.start()
        self.ports = self.suite.ports
        for alias, target in self.aliases.items():
            self.suite.tambo("alias", "add", alias, target)
        self.aliases = {}

    def relay_to(self, port, aliases):
        self.suite.settings["relay.smarthost"] = "127.0.0.1:%d" % port
        self.aliases = aliases

    def start_again(self):
        self.suite.wait_ports = self.wait_answers  # the suite's own looks every 50 ms
        began = time.monotonic()
        self.suite.start_master()
        return time.monotonic() - began

    def stop(self):
        self.suite.stop()

    def destroy(self):
        self.suite.destroy()

    def roots(self):
        return [self.suite.pid]

    def label(self, comm, argv, parent):
        # The keeper's children are the zygote and the account processes.
        if parent in ("keeper", "account"):
            return "account"
        name = argv[1] if len(argv) > 1 and not argv[1].startswith("-") else comm
        return name.split(".")[0]

    def remarks(self):
        # The way of making batches durable has changed: syncfs was too slow, or is fast again.
        return [line.split(" ", 2)[2] for line in self.suite.events() if " queue.barrier " in line]

    def version(self):
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=suite.ROOT,
                                capture_output=True, text=True).stdout.strip()
        built = max(os.stat(os.path.join(self.suite.bin, name)).st_mtime
                    for name in os.listdir(self.suite.bin))
        return "commit %s, built %s" % (commit, time.strftime("%F %T", time.localtime(built)))
