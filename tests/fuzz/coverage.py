"""How much of what reads peers' bytes the committed corpora reach. Each file of PARSERS is compiled with
clang's source-based coverage, the targets are linked with them (ninja -C build/fuzz before) and run
over their corpora. Prints the lines of each file; below MINIMUM percent for all together it fails.

coverage.py [--missing] [JOBS]: with --missing also the numbers of the lines that nothing reaches. JOBS run
at a time, 2 unless told."""
import argparse
import concurrent.futures
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import relink  # noqa: E402
from campaign import ROOT, committed  # noqa: E402

MINIMUM = 90
TOP = os.path.join(ROOT, "build", "coverage")
OPTIONS = ["-fprofile-instr-generate", "-fcoverage-mapping"]

# Whose bytes they are -> the files that take them apart.
PARSERS = {
    "everyone's: numbers, words, base64, addresses":
        "common/base/base64.cc common/base/cursor.h common/base/text.cc",
    "SMTP clients before any login":
        "common/smtp/address.cc common/smtp/command.cc common/smtp/data.cc common/smtp/domain.cc "
        "common/smtp/extensions.cc common/smtp/fold.cc common/smtp/parameter.cc common/smtp/sasl.cc "
        "common/smtp/xtext.cc smtpd/cmd_auth.cc smtpd/cmd_data.cc smtpd/cmd_hello.cc smtpd/cmd_mail.cc "
        "smtpd/cmd_misc.cc smtpd/cmd_rcpt.cc smtpd/cmd_tls.cc smtpd/content.cc "
        "smtpd/forged_results.cc smtpd/session.cc",
    "servers that mail is sent to":
        "common/smtp/client_reply.cc relayd/connection.cc relayd/transaction.cc relayd/verdict.cc",
    "resolvers": "dnsd/answer.cc dnsd/name.cc dnsd/packet.cc",
    "whoever wrote a message":
        "common/mime/address.cc common/mime/charset.cc common/mime/content.cc common/mime/date.cc "
        "common/mime/decode.cc common/mime/downgrade.cc common/mime/encoded_word.cc "
        "common/mime/header.cc common/mime/header_downgrade.cc common/mime/header_scanner.cc "
        "common/mime/imap_text.cc common/mime/lexer.cc common/mime/search_text.cc "
        "common/mime/section.cc common/mime/structure.cc imapd/session/facts.cc",
    "IMAP and POP3 clients before the login":
        "common/login/dialogue.cc imapd/prelogin.cc imapd/prelogin_sasl.cc pop3d/prelogin.cc "
        "pop3d/prelogin_sasl.cc",
    "IMAP clients":
        "imapd/session/args.cc imapd/session/cmd_any.cc imapd/session/cmd_append.cc "
        "imapd/session/cmd_copy.cc imapd/session/cmd_fetch.cc imapd/session/cmd_idle.cc "
        "imapd/session/cmd_list.cc imapd/session/cmd_mailbox.cc imapd/session/cmd_search.cc "
        "imapd/session/cmd_select.cc imapd/session/cmd_store.cc imapd/session/commands.cc "
        "imapd/session/fetch_items.cc imapd/session/mutf7.cc imapd/session/parser.cc "
        "imapd/session/pattern.cc imapd/session/reader.cc imapd/session/search_key.cc "
        "imapd/session/search_match.cc imapd/session/sequence_set.cc imapd/session/session.cc",
    "POP3 clients":
        "pop3d/session/cmd_retr.cc pop3d/session/command_line.h pop3d/session/commands.cc "
        "pop3d/session/multiline.cc pop3d/session/session.cc",
    "a daemon that was taken over":
        "common/crypto/tls_sign_policy.cc common/ipc/codec.h common/ipc/frame.cc logd/journal.cc "
        "logd/line.cc",
}

# Where headers of PARSERS are used that no source there includes.
HEADERS = ["tests/fuzz/ipc_messages.cc"]


def instrument(sources, jobs):
    """Compiles them; for relink.link()."""
    known, objects = relink.commands(), {}

    def one(source):
        words = [w for w in known[source] if not w.startswith(("-fsanitize", "-fno-sanitize"))]
        output = os.path.join(TOP, source.replace("/", "_") + ".o")
        at = words.index("-o")
        relink.compile_as([*words[:at], "-O0", *OPTIONS, *words[at:]], os.path.join(ROOT, source), output)
        return relink.goes_into(known[source]), output

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for into, output in pool.map(one, sources):
            objects.setdefault(into, []).append(output)
    return objects


def replay(target, objects, top):
    """Leaves what it counted in top."""
    program = os.path.join(TOP, target)
    relink.link(target, objects, program, OPTIONS)
    with tempfile.TemporaryDirectory(dir=top) as empty:
        done = subprocess.run(
            [program, empty, committed(target), "-runs=0"], cwd=top, timeout=600,
            env={**os.environ, "LLVM_PROFILE_FILE": os.path.join(top, target + ".profraw")},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        print(done.stdout.decode(errors="replace")[-3000:])
        raise SystemExit("%s does not run over its corpus" % target)


def merge(targets, top):
    """What llvm-cov needs to know, for all of them."""
    merged = os.path.join(top, "all.profdata")
    subprocess.run(["llvm-profdata-14", "merge", "-sparse", "-o", merged,
                    *glob.glob(os.path.join(top, "*.profraw"))], check=True)
    programs = [os.path.join(TOP, target) for target in targets]
    return ["-instr-profile", merged, programs[0],
            *(word for program in programs[1:] for word in ("-object", program))]


def count(merged):
    """path -> (lines that ran, lines)"""
    exported = subprocess.run(["llvm-cov-14", "export", "-summary-only", *merged], check=True,
                              stdout=subprocess.PIPE).stdout
    lines = {}
    for row in json.loads(exported)["data"][0]["files"]:
        summary = row["summary"]["lines"]
        lines[os.path.relpath(row["filename"], ROOT)] = (summary["covered"], summary["count"])
    return lines


def missing(merged):
    """path -> the lines that nothing reached, as text"""
    # All sources: ccache has given names to the compiler by which llvm-cov finds none that it is asked for.
    shown = subprocess.run(["llvm-cov-14", "show", *merged], check=True, text=True, errors="replace",
                           stdout=subprocess.PIPE).stdout
    found = {}
    for path, part in re.findall(r"^(/.*):\n((?:(?!/).*\n)*)", shown, re.M):
        # A template is shown once more for each of its instances.
        ran = {}
        for number, times in re.findall(r"^ *(\d+)\| *([\d.kMGE]+)\|", part, re.M):
            ran[int(number)] = ran.get(int(number), False) or times != "0"
        found[os.path.relpath(path, ROOT)] = ranges(n for n in sorted(ran) if not ran[n])
    return found


def ranges(numbers):
    """As text: 3-5, 9"""
    groups = []
    for number in numbers:
        if groups and groups[-1][1] == number - 1:
            groups[-1][1] = number
        else:
            groups.append([number, number])
    return ", ".join("%d" % a if a == b else "%d-%d" % (a, b) for a, b in groups)


def percent(ran, lines):
    return 100 * ran / max(1, lines)


def main():
    parser = argparse.ArgumentParser(prog="coverage.py")
    parser.add_argument("--missing", action="store_true", help="the lines that nothing reaches")
    parser.add_argument("jobs", nargs="?", type=int, default=2)
    args = parser.parse_args()
    targets = sorted(re.sub(".*/|\\.cc$", "", p) for p in glob.glob(os.path.join(ROOT, "tests/fuzz/*.cc")))
    os.makedirs(TOP, exist_ok=True)
    sources = [path for paths in PARSERS.values() for path in paths.split() if path.endswith(".cc")]
    objects = instrument([*sources, *HEADERS], args.jobs)
    with tempfile.TemporaryDirectory(prefix="tambo-coverage.") as top:
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            list(pool.map(lambda target: replay(target, objects, top), targets))
        merged = merge(targets, top)
        return report(count(merged), missing(merged) if args.missing else {})


def report(lines, unreached):
    """unreached: path -> its lines that nothing reaches, as far as that is wanted."""
    total_ran = total = files = 0
    lowest, absent = 100.0, []
    for whose, paths in PARSERS.items():
        print(whose)
        for path in paths.split():
            ran, number = lines.get(path, (0, 0))
            if number == 0:
                print("  %-40s is in no target" % path)
                absent.append(path)
                continue
            print("  %-40s %5d of %5d lines %6.1f %%  %s"
                  % (path, ran, number, percent(ran, number), unreached.get(path, "")))
            total_ran, total, files = total_ran + ran, total + number, files + 1
            lowest = min(lowest, percent(ran, number))
    print("figures: %.1f %% of the %d lines of %d files that read peers' bytes, the lowest file %.0f %%"
          % (percent(total_ran, total), total, files, lowest))
    return 0 if percent(total_ran, total) >= MINIMUM and not absent else 1


if __name__ == "__main__":
    sys.exit(main())
