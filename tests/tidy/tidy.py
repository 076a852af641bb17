"""The house rules that a machine can check (CONTRIBUTING.md). Prints each violation and exits with 1.

Include direction, sizes of files and functions, where library headers may appear, the co_await rule.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Which folder of common/ may include which.
LAYERS = {
    "base": set(),
    "sys": {"base"},
    "event": {"base", "sys"},
    "crypto": {"base", "sys"},
    "net": {"base", "sys", "event", "crypto"},
    "ipc": {"base", "sys", "event"},
    "tls": {"base", "sys", "event", "crypto", "ipc", "net"},
    "conf": {"base", "sys"},
    "login": {"base", "sys", "event", "crypto", "net", "ipc", "tls", "conf"},
    "db": {"base", "sys"},
    "mime": {"base"},
    "smtp": {"base"},
    "mailauth": {"base", "sys", "mime", "crypto"},
    "spool": {"base", "sys", "mime", "db"},
    "store": {"base", "sys", "mime", "db"},
}
DAEMONS = {"master", "smtpd", "queued", "relayd", "deliverd", "imapd", "pop3d", "mailboxd", "authd",
           "keyd", "dnsd", "logd", "cli"}
SESSION_LIBRARIES = ("imapd/session/", "pop3d/session/")
LIBRARIES = {
    r"event2?/|event\.h": ("common/event/",),
    r"openssl/": ("common/crypto/",),
    r"sqlite3\.h": ("common/db/",),
    r"ares\.h|ares_": ("dnsd/",),
    r"unicode/": ("common/mime/", "common/smtp/"),
    r"toml": ("common/conf/",),
}
CC_LINES, H_LINES, MAIN_LINES, FUNCTION_LINES = 600, 250, 60, 70

problems = []


def report(path, line, text):
    problems.append("%s:%d: %s" % (path, line, text))


def sources():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard",
                             "*.cc", "*.h"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [p for p in listed.stdout.split() if os.path.exists(os.path.join(ROOT, p))]


def check_includes(path, text):
    parts = path.split("/")
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'#include "([^"]+)"', line)
        if found and not path.startswith("tests/"):
            target = found.group(1).split("/")
            if parts[0] == "common":
                if target[0] != "common":
                    report(path, number, "common/ includes a daemon")
                elif target[1] != parts[1] and target[1] not in LAYERS[parts[1]]:
                    report(path, number, "common/%s may not include common/%s"
                           % (parts[1], target[1]))
            elif target[0] in DAEMONS and target[0] != parts[0]:
                session = parts[0] == "mailboxd" and found.group(1).startswith(SESSION_LIBRARIES)
                if not session:
                    report(path, number, "a daemon includes another")
        found = re.match(r"#include <([^>]+)>", line)
        if found and not path.startswith("tests/"):
            for pattern, allowed in LIBRARIES.items():
                if re.match(pattern, found.group(1)) and not path.startswith(allowed):
                    report(path, number, "<%s> belongs into %s only"
                           % (found.group(1), ", ".join(allowed)))


def check_sizes(path, text):
    lines = text.splitlines()
    limit = H_LINES if path.endswith(".h") else CC_LINES
    if os.path.basename(path) == "main.cc":
        limit = MAIN_LINES - 1
    if len(lines) > limit:
        report(path, len(lines), "%d lines, at most %d" % (len(lines), limit))
    start = None
    for number, line in enumerate(lines, 1):
        # A definition at the outermost level, formatted by clang-format: its closing brace stands
        # alone in the first column. Without parentheses it is a table of data.
        if re.match(r"[A-Za-z_~\[:].*\(.*\{$", line) and not re.match(
                r"(namespace|class|struct|enum|extern|union)\b", line):
            start = number
        elif line.startswith("}") and start is not None:
            if number - start + 1 > FUNCTION_LINES:
                report(path, start, "function of %d lines, at most %d"
                       % (number - start + 1, FUNCTION_LINES))
            start = None


BEFORE = re.compile(r"(^|[;{}]|\)|\belse|\bdo|=|\bco_return|\bcase [^:]*:)\s*$")


def check_co_await(path, text):
    """GCC 12: co_await stands alone, and its operand builds no risky temporary."""
    code = re.sub(r'//[^\n]*|"(\\.|[^"\\])*"', lambda m: " " * len(m.group()), text)
    for found in re.finditer(r"\bco_await\b", code):
        line = code.count("\n", 0, found.start()) + 1
        before = code[max(0, found.start() - 200):found.start()]
        if before.rstrip().endswith("operator"):
            continue
        operand = code[found.end():code.find(";", found.end())]
        head = before[max(before.rfind(c) for c in ";{}") + 1:]
        if not BEFORE.search(before) or re.search(r"(==|!=|<=|>=|[<>]=?)\s*$", before):
            report(path, line, "co_await inside a larger expression")
        elif re.match(r"\s*(if|while|switch|for)\b", head) and head.count("(") > head.count(")"):
            report(path, line, "co_await in a condition")
        elif "?" in operand:
            report(path, line, "?: in the operand of co_await")
        elif re.search(r"[{,(]\s*\{|\b[A-Z]\w*\{", operand):
            report(path, line, "braced temporary in the operand of co_await")
    for found in re.finditer(r"\bco_return\s+(?!std::move)[^;]*\(.*std::move\(", code):
        report(path, code.count("\n", 0, found.start()) + 1, "std::move in a call of co_return")


# A8: what is secret is compared by equal_constant_time() alone (common/crypto/digest.h).
SECRET = re.compile(r"\b(\w*secret\w*|\w*password\w*|mac|\w*_mac|\w*verifier)\b")


def check_secrets(path, text):
    if not path.startswith(("authd/", "common/crypto/", "keyd/", "common/tls/", "smtpd/", "imapd/",
                            "pop3d/")):
        return
    code = re.sub(r'//[^\n]*|"(\\.|[^"\\])*"', lambda m: " " * len(m.group()), text)
    for number, line in enumerate(code.splitlines(), 1):
        for left, right in re.findall(r"([\w.>()-]+) [!=]= ([\w.>()-]+)", line):
            if SECRET.fullmatch(left.split(".")[-1]) or SECRET.fullmatch(right.split(".")[-1]):
                report(path, number, "a secret is compared with == or !=")
        if re.search(r"(?<!CRYPTO_)\bmemcmp\(", line):
            report(path, number, "memcmp: equal_constant_time() for secrets, string_view else")


def main():
    for path in sources():
        with open(os.path.join(ROOT, path), encoding="utf-8") as f:
            text = f.read()
        check_includes(path, text)
        check_sizes(path, text)
        check_secrets(path, text)
        if not path.startswith("tests/"):
            check_co_await(path, text)
    for problem in problems:
        print(problem)
    print("%d violations" % len(problems))
    return 1 if problems else 0


sys.exit(main())
