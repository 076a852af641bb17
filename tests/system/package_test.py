"""The Debian package: what is in it, what lintian says, what its scripts refuse. Its life in a
system is played by install_test.py."""
import fcntl
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "harness")]
from suite import ROOT  # noqa: E402

DAEMONS = ["authd", "deliverd", "dnsd", "imapd", "keyd", "logd", "mailboxd", "master", "pop3d",
           "queued", "relayd", "smtpd"]
LINKS = {"usr/sbin/sendmail": "tambo", "usr/bin/mailq": "../sbin/tambo",
         "usr/bin/newaliases": "../sbin/tambo", "usr/lib/sendmail": "../sbin/sendmail",
         "usr/share/man/man1/mailq.1.gz": "sendmail.1.gz",
         "usr/share/man/man1/newaliases.1.gz": "sendmail.1.gz"}
PROGRAMS = ["usr/lib/tambo/" + name for name in DAEMONS] + ["usr/sbin/tambo"]
FILES = [*("usr/share/man/man8/%s.8tambo.gz" % name for name in DAEMONS),
         "usr/share/man/man8/tambo.8.gz", "usr/share/man/man1/sendmail.1.gz",
         "usr/share/man/man5/tambo.toml.5.gz", "usr/share/man/man7/tambo-events.7.gz",
         "usr/share/bash-completion/completions/tambo",
         "usr/lib/sysusers.d/tambo.conf", "usr/lib/tmpfiles.d/tambo.conf",
         "lib/systemd/system/tambo.service",
         "etc/fail2ban/filter.d/tambo.conf", "etc/fail2ban/jail.d/tambo.conf",
         "etc/ufw/applications.d/tambo",
         "usr/share/doc/tambo/README.md.gz", "usr/share/doc/tambo/SECURITY.md.gz",
         "usr/share/doc/tambo/changelog.gz", "usr/share/doc/tambo/copyright",
         "usr/share/doc/tambo/examples/tambo.toml"]


def build(into, tree=ROOT):
    """./dev deb, of which lintian is a part; the path of the package, copied into a directory. One
    at a time: it works in the source."""
    for tool in ("dh", "lintian", "fakeroot"):
        if shutil.which(tool) is None:
            raise unittest.SkipTest("not run: debhelper, lintian, fakeroot")
    with open(os.path.join(ROOT, "build", "deb.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = subprocess.run([os.path.join(tree, "dev"), "deb"], cwd=tree, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode != 0:
            raise AssertionError("./dev deb: %d\n%s" % (result.returncode, result.stdout[-6000:]))
        output = os.path.join(tree, "build", "deb")
        names = [name for name in os.listdir(output) if re.fullmatch(r"tambo_.*\.deb", name)]
        assert len(names) == 1, names
        return shutil.copy(os.path.join(output, names[0]), into)


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="tambo-", dir=os.environ.get("TMPDIR", "/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.package = build(cls.dir)
        cls.root = os.path.join(cls.dir, "root")
        cls.control = os.path.join(cls.dir, "control")
        subprocess.run(["dpkg-deb", "-x", cls.package, cls.root], check=True)
        subprocess.run(["dpkg-deb", "-e", cls.package, cls.control], check=True)

    def each(self):
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                yield os.path.relpath(path, self.root), path

    def field(self, name):
        return subprocess.run(["dpkg-deb", "-f", self.package, name], text=True, check=True,
                              capture_output=True).stdout.strip()

    def test_everything_and_nothing_else(self):
        self.assertEqual(sorted(name for name, _ in self.each()),
                         sorted([*PROGRAMS, *FILES, *LINKS]))
        for name, to in LINKS.items():
            self.assertEqual(os.readlink(os.path.join(self.root, name)), to)

    def test_modes(self):
        listing = subprocess.run(["dpkg-deb", "-c", self.package], text=True, check=True,
                                 capture_output=True).stdout
        for line in listing.splitlines():
            mode, owner = line.split()[:2]
            with self.subTest(line=line):
                self.assertEqual(owner, "root/root")
                name = line.split()[5][2:]
                wanted = ("lrwxrwxrwx" if mode[0] == "l" else "drwxr-xr-x" if mode[0] == "d" else
                          "-rwxr-xr-x" if name in PROGRAMS else "-rw-r--r--")
                self.assertEqual(mode, wanted)

    def test_no_trace_of_the_place_where_it_was_built(self):
        for name, path in self.each():
            if os.path.islink(path):
                continue
            with open(path, "rb") as f:
                content = f.read()
            self.assertNotIn(ROOT.encode(), content, name)
            self.assertNotIn(b"build/release", content, name)

    def test_the_installed_files_are_those_of_the_tree(self):
        for source, name in (("etc/tambo.service", "lib/systemd/system/tambo.service"),
                             ("etc/tambo.sysusers", "usr/lib/sysusers.d/tambo.conf"),
                             ("etc/tambo.tmpfiles", "usr/lib/tmpfiles.d/tambo.conf")):
            with open(os.path.join(ROOT, source)) as a, open(os.path.join(self.root, name)) as b:
                self.assertEqual(a.read(), b.read())

    def test_control(self):
        with open(os.path.join(ROOT, "CMakeLists.txt")) as f:
            version = re.search(r"project\(tambo VERSION (\S+)", f.read()).group(1)
        self.assertEqual(self.field("Version"), version)
        shown = subprocess.run([os.path.join(self.root, "usr/sbin/tambo"), "version"], text=True,
                               check=True, capture_output=True).stdout
        self.assertEqual(shown, "tambo %s\n" % version)
        for name in ("Provides", "Conflicts", "Replaces"):
            self.assertIn("mail-transport-agent", self.field(name).split(", "))
        with open(os.path.join(self.control, "conffiles")) as f:
            conffiles = f.read().split()
        self.assertEqual(sorted(conffiles),
                         sorted("/" + name for name in FILES if name.startswith("etc/")))
        for name in ("preinst", "postinst", "prerm", "postrm"):
            path = os.path.join(self.control, name)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o755)
            subprocess.run(["sh", "-n", path], check=True)

    def preinst(self, *arguments, **environment):
        return subprocess.run(["sh", os.path.join(self.control, "preinst"), *arguments], text=True,
                              capture_output=True, env={"PATH": os.environ["PATH"], **environment})

    def test_a_downgrade_is_refused(self):
        for words in (["install"], ["install", "0.1.0", "0.1.0"], ["upgrade", "0.1.0", "0.2.0"],
                      ["upgrade", "0.9.0", "0.10.0"], ["abort-upgrade", "0.1.0"]):
            self.assertEqual(self.preinst(*words).returncode, 0, words)
        for words in (["upgrade", "0.2.0", "0.1.0"], ["install", "0.10.0", "0.9.0"]):
            result = self.preinst(*words)
            self.assertEqual(result.returncode, 1, words)
            self.assertIn("going back to %s is refused" % words[2], result.stderr)
            self.assertEqual(self.preinst(*words, TAMBO_DOWNGRADE="yes").returncode, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
