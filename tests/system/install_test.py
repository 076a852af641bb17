"""The package in a clean Debian 12 of its own: installation, quickstart, real clients, an upgrade to
the next build under load, a refused downgrade, removal, purge. Only with TAMBO_FULL; needs root, the
network, and debootstrap. The next build is this source with a higher version.

What needs the network comes first; then the script runs itself again in namespaces of its own, where
the suite has ports 25 to 995 of a loopback of its own."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "harness"), HERE]
import network  # noqa: E402
from ledger import (Ledger, PatientSender, Poller, connect_mx, connect_submission,  # noqa: E402
                    queue_is_empty, read_mailboxes)
from package_test import build  # noqa: E402
from suite import ROOT, make_certificates, wait_for  # noqa: E402

PLACE = "TAMBO_TEST_INSTALLATION"
PASSWORD = "a secret of hers"
NEXT_SOURCE = os.path.join(ROOT, "build", "next")
BASE = os.path.join(ROOT, "build", "debian-bookworm.tar")
MOUNTS = """
mount --make-rprivate /
mount -t proc proc "$1/proc"
mount -t tmpfs -o mode=755 tmpfs "$1/dev"
for device in null zero full random urandom; do
    touch "$1/dev/$device"; mount --bind "/dev/$device" "$1/dev/$device"
done
mkdir -m 1777 "$1/dev/shm"
"""


def missing():
    if not os.environ.get("TAMBO_FULL"):
        return "not run: only with --full"
    if os.geteuid() != 0:
        return "not run: root"
    if shutil.which("debootstrap") is None:
        return "not run: debootstrap"
    return None


def in_root(root, *command, namespaces=("--mount",)):
    """Runs it in the installation, with a /proc and a /dev of its own."""
    script = MOUNTS + 'root=$1; shift; exec chroot "$root" "$@"'
    clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root",
             "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(["unshare", *namespaces, "sh", "-ec", script, "sh", root, *command],
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, env=clean, timeout=1800)


def demand(result):
    if result.returncode != 0:
        raise AssertionError("%s: %d\n%s" % (" ".join(result.args[-4:]), result.returncode,
                                             result.stdout[-4000:]))
    return result.stdout


def version_of(package):
    return re.search(r"tambo_([^_]+)_", package).group(1)


def next_build(into):
    """This source as its own next version, built in build/next."""
    files = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                           cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, files.split("\0")):
        if not os.path.exists(os.path.join(ROOT, name)):
            continue
        to = os.path.join(NEXT_SOURCE, name)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy2(os.path.join(ROOT, name), to)
    for name, pattern in (("CMakeLists.txt", r"(?<=project\(tambo VERSION )(\d+\.\d+)\.(\d+)"),
                          ("debian/changelog", r"(?<=\Atambo \()(\d+\.\d+)\.(\d+)")):
        path = os.path.join(NEXT_SOURCE, name)
        with open(path) as f:
            text = f.read()
        text, count = re.subn(pattern, lambda m: "%s.%d" % (m[1], int(m[2]) + 1), text)
        assert count == 1, name
        with open(path, "w") as f:
            f.write(text)
    return build(into, NEXT_SOURCE)


def make_base():
    if os.path.exists(BASE):
        return
    place = tempfile.mkdtemp(prefix="tambo-", dir="/var/tmp")
    try:
        subprocess.run(["debootstrap", "--variant=minbase", "bookworm", place], check=True,
                       stdout=subprocess.DEVNULL)
        os.chmod(place, 0o755)  # it becomes somebody's /, which all users look through
        subprocess.run(["tar", "-C", place, "-cf", BASE + ".new", "."], check=True)
        os.replace(BASE + ".new", BASE)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def prepare(place):
    """A fresh Debian, both packages in its /root, and the first one installed."""
    packages = [build(place), next_build(place)]
    make_base()
    root = os.path.join(place, "debian")
    os.mkdir(root)
    subprocess.run(["tar", "-C", root, "-xpf", BASE], check=True)
    shutil.copy("/etc/resolv.conf", os.path.join(root, "etc/resolv.conf"))
    with open(os.path.join(root, "etc/hosts"), "w") as f:
        f.write("127.0.0.1 localhost\n")
    for package in packages:
        shutil.copy(package, os.path.join(root, "root"))
    demand(in_root(root, "apt-get", "update", "-qq"))
    # An apt download runs as a user who could not read it in /root.
    shutil.move(os.path.join(root, "root", os.path.basename(packages[0])),
                os.path.join(root, "var/tmp"))
    print(demand(in_root(root, "sh", "-ec", """
        apt-get install -y --no-install-recommends systemd-standalone-sysusers \\
            systemd-standalone-tmpfiles /var/tmp/tambo_*.deb
        for process in /proc/[0-9]*; do
            case $(readlink "$process/exe" || true) in
            /usr/lib/tambo/*) echo "something was started"; exit 1 ;;
            esac
        done""", namespaces=("--mount", "--pid", "--fork"))))
    with open(os.path.join(place, "packages"), "w") as f:
        f.write("\n".join(os.path.basename(package) for package in packages))


class Installed:
    """What tests/harness/ledger.py wants of a suite."""
    ports = {"smtp": 25, "submissions": 465, "imaps": 993}

    def __init__(self, place):
        self.place, self.root = place, os.path.join(place, "debian")
        self.ca = os.path.join(place, "tls", "ca.pem")
        self.users = [("alice@example.test", PASSWORD), ("bob@example.test", PASSWORD)]
        with open(os.path.join(place, "packages")) as f:
            self.first, self.next = f.read().split()
        self.master = None

    def chroot(self, *command, **options):
        clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root",
                 "DEBIAN_FRONTEND": "noninteractive", **options.pop("env", {})}
        return subprocess.run(["chroot", self.root, *command], text=True, timeout=600, env=clean,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)

    def tambo(self, *words, check=True, **options):
        result = self.chroot("tambo", *words, **options)
        return demand(result) if check else result

    def start(self):
        with open(os.path.join(self.place, "master.log"), "ab") as log:
            self.master = subprocess.Popen(["chroot", self.root, "/usr/lib/tambo/master"],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: self.tambo("status", check=False).returncode == 0 and
                 "starting" not in self.tambo("status"), 60, "the suite")

    def path(self, *words):
        return os.path.join(self.root, *words)

    def running(self):
        """The programs of the suite that run, whoever has started them."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                program = os.readlink("/proc/%s/exe" % pid)
            except OSError:
                continue
            if "/usr/lib/tambo/" in program:
                found.append(program)
        return found


class Installation(unittest.TestCase):
    """The steps of one life, in this order."""

    @classmethod
    def setUpClass(cls):
        reason = missing()
        if reason:
            raise unittest.SkipTest(reason)
        place = os.environ[PLACE]
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(["sh", "-ec", MOUNTS, "sh", os.path.join(place, "debian")], check=True)
        cls.it = Installed(place)
        cls.addClassCleanup(cls.end)

    @classmethod
    def end(cls):
        if cls.it.master and cls.it.master.poll() is None:
            cls.it.master.terminate()
            cls.it.master.wait(60)

    def tell(self, title, text=""):
        print("== %s\n%s" % (title, text), flush=True)

    def test_1_nothing_runs_before_it_is_configured(self):
        it = self.it
        self.assertEqual(it.running(), [])
        self.assertEqual(it.tambo("status", check=False).returncode, 66)
        for folder, mode in (("etc/tambo", 0o755), ("etc/tambo/tls", 0o700),
                             ("var/lib/tambo", 0o755)):
            self.assertEqual(os.stat(it.path(folder)).st_mode & 0o7777, mode, folder)
        users = re.findall(r"^(_tambo-\w+):", demand(it.chroot("getent", "passwd")), re.M)
        self.assertEqual(len(users), 10)
        self.assertEqual(demand(it.chroot("dpkg", "--audit")), "")

    def test_2_quickstart_and_real_clients(self):
        it = self.it
        self.tell("quickstart", it.tambo("quickstart", "example.test", "alice@example.test",
                                         "--stdin", input=PASSWORD + "\n"))
        it.tambo("user", "add", "bob@example.test", "--stdin", input=PASSWORD + "\n")
        make_certificates(os.path.join(it.place, "tls"), "mail.example.test")
        for name in ("cert.pem", "key.pem"):
            shutil.copy(os.path.join(it.place, "tls", name), it.path("etc/tambo/tls"))
        with open(it.path("etc/tambo/tambo.toml"), "a") as f:
            f.write('\n[tls]\ncertificate = "/etc/tambo/tls/cert.pem"\n'
                    'key = "/etc/tambo/tls/key.pem"\n')
        it.start()
        self.tell("status", it.tambo("status"))
        sent = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", "465", "--tls-on-connect",
                               "--auth", "PLAIN", "--auth-user", "bob@example.test",
                               "--auth-password", PASSWORD, "--from", "bob@example.test", "--to",
                               "alice@example.test", "--header", "Subject: by a real client",
                               "--body", "hello from swaks"], text=True, capture_output=True,
                              timeout=120)
        self.assertEqual(sent.returncode, 0, sent.stdout + sent.stderr)
        local = it.chroot("sendmail", "postmaster@example.test", input="Subject: local\n\nx\n")
        self.assertEqual(local.returncode, 0, local.stdout)
        curl = ["curl", "-sS", "--cacert", it.ca, "--user", "alice@example.test:" + PASSWORD]
        found = lambda: subprocess.run([*curl, "imaps://localhost/INBOX?ALL"], text=True, check=True,
                                       capture_output=True, timeout=120).stdout
        wait_for(lambda: found().split() == ["*", "SEARCH", "1", "2"], 60, "both messages")
        read = subprocess.run([*curl, "imaps://localhost/INBOX;MAILINDEX=1"], text=True, check=True,
                              capture_output=True, timeout=120).stdout
        self.assertIn("hello from swaks", read)
        self.tell("curl reads what swaks sent", read)

    def test_3_upgrade_under_load(self):
        it = self.it
        ledger = Ledger()
        addresses = [address for address, _ in it.users]
        clients = [PatientSender(ledger, connect_mx(it), "s%d@elsewhere.test" % i, addresses,
                                 reuse=i == 0) for i in range(3)]
        clients += [PatientSender(ledger, connect_submission(it, *it.users[1]), addresses[1],
                                  addresses),
                    Poller(it, *it.users[0]), Poller(it, *it.users[1], stay=True)]
        for client in clients:
            client.start()
            self.addCleanup(client.stop)
        before = it.tambo("status", "--tsv").split("\t")
        time.sleep(3)
        start = time.monotonic()
        output = demand(it.chroot("apt-get", "install", "-y", "/root/" + it.next))
        took = time.monotonic() - start
        time.sleep(3)
        for client in clients:
            client.stop()
        for client in clients:
            client.join(120)
        self.tell("upgrade", output)
        self.assertIn("the new version runs", output)
        self.assertEqual(it.tambo("version"), "tambo %s\n" % version_of(it.next))
        programs = it.running()
        self.assertEqual([p for p in programs if "(deleted)" in p], [])
        self.assertGreaterEqual(len(programs), 13)
        after = it.tambo("status", "--tsv").split("\t")
        self.assertEqual(after[2], before[2])  # the process id of master
        self.assertNotEqual(after[5], before[5])  # and its start
        self.assertEqual([c.complaints for c in clients if c.complaints], [])
        self.assertEqual((dict(ledger.refused), dict(ledger.unknown)), ({}, {}), ledger.reasons)
        wait_for(lambda: queue_is_empty(it), 120, "an empty queue")
        complaints, _ = ledger.check(read_mailboxes(it, it.users), {})
        self.assertEqual(complaints, [])
        print("figures: upgrade under load in %.1f s, %d messages, longest wait of a client %.1f s"
              % (took, len(ledger.acknowledged), max(c.longest for c in clients)))

    def test_4_downgrade(self):
        it = self.it
        before = it.tambo("status", "--tsv").split("\t")
        result = it.chroot("apt-get", "install", "-y", "--allow-downgrades",
                           "/var/tmp/" + it.first)
        self.tell("downgrade", result.stdout)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("going back to %s is refused" % version_of(it.first), result.stdout)
        state = demand(it.chroot("dpkg-query", "-W", "-f", "${Status} ${Version}", "tambo"))
        self.assertEqual(state, "install ok installed " + version_of(it.next))
        after = it.tambo("status", "--tsv").split("\t")
        self.assertEqual((after[2], after[5]), (before[2], before[5]))  # not even restarted

    def test_5_remove_and_again(self):
        it = self.it
        self.tell("remove", demand(it.chroot("apt-get", "remove", "-y", "tambo")))
        self.assertEqual(it.master.wait(60), 0)
        self.assertEqual(it.running(), [])
        for kept in ("etc/tambo/tambo.toml", "etc/tambo/tls/key.pem", "var/lib/tambo/mail",
                     "etc/fail2ban/filter.d/tambo.conf"):
            self.assertTrue(os.path.exists(it.path(kept)), kept)
        self.assertFalse(os.path.exists(it.path("usr/sbin/sendmail")))
        demand(it.chroot("apt-get", "install", "-y", "/root/" + it.next))
        it.start()
        found = read_mailboxes(it, it.users)  # all mail is where it was
        self.assertGreater(sum(found["alice@example.test"].values()), 0)

    def test_6_purge(self):
        it = self.it
        output = demand(it.chroot("apt-get", "purge", "-y", "tambo"))
        self.tell("purge", output)
        self.assertEqual(it.master.wait(60), 0)
        self.assertIn("are kept in /var/lib/tambo", output)
        self.assertEqual(os.listdir(it.path("etc/tambo")), ["tls"])  # the administrator's own
        self.assertTrue(os.listdir(it.path("var/lib/tambo/mail")))
        left = demand(it.chroot("sh", "-c", "find /etc /usr /lib /var/lib/systemd /var/lib/dpkg/info "
                                "-name '*tambo*' | sort")).split()
        self.assertEqual(left, ["/etc/tambo"])
        self.assertIn("_tambo-mail:", demand(it.chroot("getent", "passwd")))
        self.assertEqual(demand(it.chroot("dpkg", "--audit")), "")


def main():
    if missing() or network.there():
        unittest.main(verbosity=2)
    place = tempfile.mkdtemp(prefix="tambo-", dir="/var/tmp")
    os.chmod(place, 0o755)
    os.environ[PLACE] = place
    try:
        prepare(place)
        command = ["unshare", *network.NAMESPACES, sys.executable, *sys.argv]
        os.environ[network.INSIDE] = "root"
        status = subprocess.run(command).returncode
    finally:
        shutil.rmtree(place, ignore_errors=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
