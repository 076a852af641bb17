"""No parser may take more than linear time: each fuzz target is given inputs of n, 2n, 4n ... 64n
bytes that are made to hurt, and the instructions that it executes are counted (callgrind), which
is exact and the same on every machine. A quadratic parser's growth is four-fold from one doubling
to the next, and to the one behind it; the limit here is GROWTH_MAX. What comes once (a buffer that
grows, a limit that is reached) shows in one doubling only: the lesser of two neighbours counts.
Prints one line for each target: the worst growth."""
import glob
import os
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SMALLEST = 512
SIZES = [SMALLEST << i for i in range(7)]
GROWTH_MAX = 2.6
NOISE = 40_000  # instructions; what a buffer that grows once more may cost

# Whole input = start + piece, again and again, cut at n + end.
PIECES = [b"a", b" ", b"\t", b"\0", b"(", b"()", b"((a)", b'"', b'"a" ', b"\\", b"<", b"<@a:", b">", b",",
          b"a@b,", b"a@b.c, ", b"x:;", b".", b"=", b"=3D", b"=\r\n", b"=?utf-8?q?a?= ", b"=?", b"&", b"&AOk-",
          b"\xc3\xa9", b"\xff", b"\r\n", b"\n", b"\r", b"x: y\r\n", b"x:\r\n y\r\n", b" y\r\n", b"--b\r\n",
          b"--b--\r\n", b"\r\n.\r\n", b"..\r\n", b"{1}\r\nx", b"{1+}\r\nx", b"1,", b"1:2,", b"* ", b"250-x\r\n",
          b"%25", b"a=b;", b"a*0=b; ", b"a*1*=%41; ", b"NOT ", b"OR ", b"BODY[1] ", b"BODY[HEADER.FIELDS (a)] ",
          b"a NOOP\r\n", b"NOOP\r\n", b"RCPT TO:<a@example.test>\r\n", b"xn--a.", b"Received: x\r\n",
          b"From: a@b\r\n"]
MULTIPART = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
# Where a target's input begins, so that the pieces reach what is behind the first byte.
STARTS = {
    "crypto_tls_sign_policy": [b"\0\x04\x03\0"],
    "dnsd_answer": [b"\0\0\0\1\0\0"],
    "imap_command": [b"\0", b"\0a LOGIN ", b"\0a APPEND x ", b"\x10a SEARCH "],
    "imap_session": [b"", b"a SELECT INBOX\r\nb SEARCH ", b"a SELECT INBOX\r\nb FETCH 1:* ("],
    "ipc_messages": [bytes([i, 0]) for i in (0, 6, 13, 23, 28, 46)],
    "mime_decode": [b"\x20\0", b"\x20\3"],
    "mime_header": [b"\x20", b"\x20Subject: "],
    "mime_structure": [b"\0\0", b"\0\0" + MULTIPART, b"\0\0" + MULTIPART * 8,
                       b"\0\0Content-Type: message/rfc822\r\n\r\n", b"\0\0To: ", b"\0\0Content-Type: a/b; "],
    "pop3_multiline": [b"\x3f\x05"],
    "relayd_transaction": [b"\1", b"\x01" b"220 x\r\n250-a\r\n"],
    "smtp_client_reply": [b"\x1f", b"\x1f250-"],
    "smtp_command": [b"", b"MAIL FROM:<a@b> ", b"MAIL FROM:<", b"RCPT TO:<", b"EHLO ", b"AUTH "],
    "smtp_data": [b"\x1f"],
    "smtp_sasl": [b"\x20"],
    "smtpd_session": [b"\x04", b"\x04EHLO a\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"],
}


def inputs(target):
    """(what, [bytes of each size])"""
    for start in STARTS.get(target, [b""]):
        for piece in PIECES:
            body = piece * (SIZES[-1] // len(piece) + 1)
            yield start + piece, [start + body[:size] for size in SIZES]


def instructions(program, files, directory):
    """Executed in each call of the target, one number for each file."""
    paths = os.path.join(directory, "files")
    with open(paths, "w") as f:
        f.write("\n".join(files) + "\n")
    out = os.path.join(directory, "callgrind.out")
    subprocess.run(["valgrind", "--tool=callgrind", "--combine-dumps=yes", "--callgrind-out-file=" + out,
                    "--toggle-collect=LLVMFuzzerTestOneInput", "--dump-after=LLVMFuzzerTestOneInput",
                    program, paths], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   timeout=3600)
    with open(out) as f:
        numbers = [int(n) for n in re.findall(r"^summary: (\d+)", f.read(), re.M)]
    os.unlink(out)
    return numbers[:len(files)]


def growths(target, directory):
    program = os.path.join(ROOT, "build", "release", "bin", "linear_" + target)
    names, files = [], []
    # The first calls fill tables and pools: they do not count.
    for what, texts in [(b"", [b"warm up"] * 3), *inputs(target)]:
        names.append((what, len(files), len(texts)))
        for text in texts:
            files.append(os.path.join(directory, "%d" % len(files)))
            with open(files[-1], "wb") as f:
                f.write(text)
    counts = instructions(program, files, directory)
    assert len(counts) == len(files), (len(counts), len(files))
    for what, at, number in names[1:]:
        yield what, growth(counts[at:at + number]), counts[at:at + number]


def growth(counts):
    """Of what one doubling costs more than the one before it, twice in succession; the worst."""
    steps = [b - a for a, b in zip(counts, counts[1:])]
    ratios = [b / max(a, NOISE) for a, b in zip(steps, steps[1:])]
    return max(min(pair) for pair in zip(ratios, ratios[1:]))


class GrowthTest(unittest.TestCase):
    def test_a_linear_one(self):
        self.assertLess(growth([100_000 << i for i in range(len(SIZES))]), 2.1)

    def test_a_quadratic_one(self):
        self.assertGreater(growth([100_000 << 2 * i for i in range(len(SIZES))]), 3.9)

    def test_one_that_begins_late(self):
        """As one that reads anew from its beginning when the input is longer than a buffer."""
        self.assertGreater(growth([100 * n + max(0, n - 8192) ** 2 // 2 for n in SIZES]), GROWTH_MAX)

    def test_what_comes_once_is_no_growth(self):
        once = [100_000 << i for i in range(len(SIZES))]
        for at in range(len(SIZES)):
            self.assertLess(growth([n + 5_000_000 * (i >= at) for i, n in enumerate(once)]), 2.1)


@unittest.skipUnless(os.environ.get("TAMBO_FULL"), "not run: a long campaign (--full)")
class LinearTest(unittest.TestCase):
    def test_every_parser(self):
        programs = sorted(glob.glob(os.path.join(ROOT, "build", "release", "bin", "linear_*")))
        self.assertTrue(programs)
        wanted = os.environ.get("TAMBO_LINEAR", "")
        worst_of_all = 0.0
        for program in programs:
            target = os.path.basename(program)[len("linear_"):]
            if not re.search(wanted, target):
                continue
            with self.subTest(target=target), tempfile.TemporaryDirectory(prefix="tambo-linear.") as directory:
                worst = max(growths(target, directory), key=lambda row: row[1])
                print("%-24s growth %.2f at %r %s" % (target, worst[1], worst[0][-40:], worst[2]), flush=True)
                worst_of_all = max(worst_of_all, worst[1])
                self.assertLess(worst[1], GROWTH_MAX)
        print("figures: %d targets, worst growth of a doubling %.2f" % (len(programs), worst_of_all))

    def test_a_quadratic_parser_is_seen(self):
        with tempfile.TemporaryDirectory(prefix="tambo-linear.") as directory:
            source, program = os.path.join(directory, "q.cc"), os.path.join(directory, "q")
            with open(source, "w") as f:
                f.write("#include <cstddef>\n#include <cstdint>\nvolatile unsigned sum;\n"
                        'extern "C" int LLVMFuzzerTestOneInput(const uint8_t* p, size_t n) {\n'
                        "for (size_t i = 0; i < n; ++i) for (size_t j = i; j < n; j += 64) sum += p[j];\n"
                        "return 0; }\n")
            subprocess.run(["g++", "-O2", source, os.path.join(ROOT, "tests/fuzz/standalone/standalone.cc"), "-o", program],
                           check=True)
            files = []
            for size in SIZES:
                files.append(os.path.join(directory, str(size)))
                with open(files[-1], "wb") as f:
                    f.write(b"a" * size)
            self.assertGreater(growth(instructions(program, files, directory)), 3.5)


if __name__ == "__main__":
    unittest.main(verbosity=2)
