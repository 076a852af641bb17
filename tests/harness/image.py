"""A filesystem of a test's own, whose power can be cut: an image, mounted through a loop device.

Needs root. enter() first: mounts then live in a namespace that goes with the test, and so do all
processes that it started.
"""
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile

import network
from suite import Suite, ensure_users, wait_for

# EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are the same number: _IOR('X', 125, uint32_t).
SHUTDOWN, WITHOUT_FLUSH = 0x8004587D, 2
MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
}
MOUNT = {"ext4": "loop,data=ordered", "xfs": "loop"}


def enter():
    """Runs the script again in namespaces; where that is not possible, there() says so."""
    if os.geteuid() != 0:
        return
    if not network.there():
        ensure_users()  # outside: they stay
    network.enter()
    if there():
        network.run("ip", "link", "set", "lo", "up")


def there():
    return os.environ.get(network.INSIDE) == "root"


class Image:
    def __init__(self, kind, size="512M", options=()):
        """kind: ext4 or xfs. options: further ones of mkfs. Mounted when this returns."""
        self.kind = kind
        # Short: sockets lie below it. Readable: as root the daemons are other users.
        self.dir = tempfile.mkdtemp(prefix="tambo-", dir=os.environ.get("TMPDIR", "/tmp"))
        os.chmod(self.dir, 0o755)
        self.file = os.path.join(self.dir, kind + ".img")
        self.top = os.path.join(self.dir, "disk")
        os.mkdir(self.top)
        network.run("truncate", "-s", size, self.file)
        network.run(*MAKE[kind], *options, self.file)
        self.mount()

    def mount(self):
        network.run("mount", "-t", self.kind, "-o", MOUNT[self.kind], self.file, self.top)

    def cut(self):
        """What was not flushed until now is lost, and every later call fails with EIO."""
        fd = os.open(self.top, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
        finally:
            os.close(fd)

    def unmount(self):
        """Waits until the processes that were killed have let go of it."""
        wait_for(lambda: subprocess.run(["umount", self.top], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL).returncode == 0,
                 20, "everybody to leave " + self.top, 0.01)

    def sync(self):
        network.run("sync", "-f", self.top)

    def device(self):
        return os.stat(self.top).st_dev

    def destroy(self):
        subprocess.run(["umount", "-l", self.top], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)


class SuiteOnImage(Suite):
    """Its state lies on the image, and nothing else does: configuration and logs of master are
    beside it."""

    def __init__(self, image, **arguments):
        super().__init__(os.path.join(image.dir, "suite"), **arguments)
        os.mkdir(self.dir, 0o755)
        self.image = image
        self.state = os.path.join(image.top, "state")
        self.known = []  # events
        self.offset = 0  # where in the log what is not known yet begins

    def lose_power(self):
        """Until mount() and start_master() there is nothing: the suite is gone, and its disk as the
        cut left it."""
        self.events()
        self.image.cut()
        if self.process is not None:
            self.kill()
        self.image.unmount()

    def launch_master(self):
        # A cut took the end of the log; the next event goes on where the last line was torn.
        self.offset = min(self.offset, self.whole_lines(0)[1])
        super().launch_master()

    def whole_lines(self, offset):
        """Of the log from there on, and where they end."""
        if not os.path.exists(self.log_file()):
            return [], offset
        with open(self.log_file(), "rb") as f:
            f.seek(offset)
            text = f.read()
        text = text[:text.rfind(b"\n") + 1]
        return text.decode(errors="replace").split("\n")[:-1], offset + len(text)

    def events(self):
        """All since the beginning: those, too, that a cut has taken from the log. Reads what is new,
        so that it costs little just before a cut."""
        lines, self.offset = self.whole_lines(self.offset)
        self.known += lines
        return list(self.known)

    def start_again(self):
        self.image.mount()
        self.start_master()

    def destroy(self):
        try:
            self.stop()
        finally:
            self.image.destroy()
