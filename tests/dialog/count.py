"""Counts the attacks in the dialogues: client writes that are refused, in exact words.

Two are the same if they go through the same door (folder), with the same bytes and replies, from
the same state (what was said since the connection began, its refused commands aside)."""
import glob
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
REFUSED = re.compile(r"[45]\d\d[ -]|-ERR|\S+ (BAD|NO)\b|\* BYE|\\x15\\x03")


def variants(lines):
    each = []
    for line in lines:
        if line.startswith("@ each "):
            each.append([line[7:], ""])
        elif line.startswith("@ reply "):
            each[-1][1] = line[8:]
    rest = [line for line in lines
            if line and line[0] != "#" and not line.startswith(("@ each ", "@ reply "))]
    return [[line.replace("<each>", text).replace("<reply>", reply) for line in rest]
            for text, reply in each or [["", ""]]]


def writes(lines):
    """(bytes sent, lines that must come, all exact)."""
    sent, replies, exact = "", [], True
    for line in lines:
        verb, _, text = line.lstrip("123456789").partition(" ")
        if verb in ("c>", "c+", "c*"):
            if replies:
                yield sent, replies, exact
                sent, replies, exact = "", [], True
            sent += verb + text + "\n"
        elif verb[0] == "s" or verb.startswith("closed"):
            replies.append(line)
            exact = exact and verb not in ("s~", "closed-or-alert")
    yield sent, replies, exact


def is_refused(reply):
    verb, _, text = reply.lstrip("123456789").partition(" ")
    return verb.startswith("closed") or reply.endswith("s! closed") or REFUSED.match(text)


def cases(folder):
    found = set()
    for path in sorted(glob.glob(os.path.join(folder, "*.dlg"))):
        with open(path, encoding="latin-1") as f:
            lines = f.read().split("\n")
        for variant in variants(lines):
            state = tuple(line for line in variant if line[0] == "@")
            for sent, replies, exact in writes(variant):
                if exact and sent and any(is_refused(reply) for reply in replies):
                    found.add((state, sent, tuple(replies)))
                else:
                    state += (sent,)
    return found


total = 0
for folder in sorted(glob.glob(os.path.join(HERE, "*", ""))):
    count = len(cases(folder))
    total += count
    print("%-12s %4d" % (os.path.basename(os.path.dirname(folder)), count))
print("%-12s %4d" % ("all", total))
