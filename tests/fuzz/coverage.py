"""How much of what reads peers' bytes the committed corpora reach. Each file of PARSERS is compiled with
clang's source-based coverage, the targets are linked with them (ninja -C build/fuzz before) and run
over their corpora. Prints the lines of each file; below MINIMUM percent for all together it fails."""
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


def instrument(sources):
    """Compiles them; for relink.link()."""
    known, objects = relink.commands(), {}

    def one(source):
        words = [w for w in known[source] if not w.startswith(("-fsanitize", "-fno-sanitize"))]
        output = os.path.join(TOP, source.replace("/", "_") + ".o")
        relink.compile_as([*words[:1], "-O0", *OPTIONS, *words[1:]], os.path.join(ROOT, source), output)
        return relink.goes_into(known[source]), output

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
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


def count(targets, top):
    """path -> (lines that ran, lines)"""
    merged = os.path.join(top, "all.profdata")
    subprocess.run(["llvm-profdata-14", "merge", "-sparse", "-o", merged,
                    *glob.glob(os.path.join(top, "*.profraw"))], check=True)
    programs = [os.path.join(TOP, target) for target in targets]
    objects = [word for program in programs[1:] for word in ("-object", program)]
    exported = subprocess.run(["llvm-cov-14", "export", "-summary-only", "-instr-profile", merged,
                               programs[0], *objects], check=True, stdout=subprocess.PIPE).stdout
    lines = {}
    for row in json.loads(exported)["data"][0]["files"]:
        summary = row["summary"]["lines"]
        lines[os.path.relpath(row["filename"], ROOT)] = (summary["covered"], summary["count"])
    return lines


def percent(ran, lines):
    return 100 * ran / max(1, lines)


def main():
    targets = sorted(re.sub(".*/|\\.cc$", "", p) for p in glob.glob(os.path.join(ROOT, "tests/fuzz/*.cc")))
    os.makedirs(TOP, exist_ok=True)
    sources = [path for paths in PARSERS.values() for path in paths.split() if path.endswith(".cc")]
    objects = instrument([*sources, *HEADERS])
    with tempfile.TemporaryDirectory(prefix="tambo-coverage.") as top:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda target: replay(target, objects, top), targets))
        lines = count(targets, top)
    total_ran = total = files = 0
    lowest = 100.0
    for whose, paths in PARSERS.items():
        print(whose)
        for path in paths.split():
            ran, number = lines.get(path, (0, 0))
            if number == 0:
                print("  %-40s is in no target" % path)
                return 1
            print("  %-40s %5d of %5d lines %6.1f %%" % (path, ran, number, percent(ran, number)))
            total_ran, total, files = total_ran + ran, total + number, files + 1
            lowest = min(lowest, percent(ran, number))
    print("figures: %.1f %% of the %d lines of %d files that read peers' bytes, the lowest file %.0f %%"
          % (percent(total_ran, total), total, files, lowest))
    return 0 if percent(total_ran, total) >= MINIMUM else 1


if __name__ == "__main__":
    sys.exit(main())
