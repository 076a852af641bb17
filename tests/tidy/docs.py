"""The documents, as far as a machine can check them. Prints each problem and exits with 1.

A manual page for each daemon, command and file format, without complaint of mandoc; their references
to each other; files that the documents name; rules and headings that the sources cite; the picture in
README.md.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "RULES.md", "SECURITY.md",
             "CHANGELOG.md", "tests/dialog/README.md"]
SOURCES = (".cc", ".h", ".py", ".cmake", ".dlg", ".txt", ".md")
# Besides one page of section 8 for each program of the top CMakeLists.txt.
PAGES = {"sendmail": "1", "tambo.toml": "5", "tambo-events": "7"}

problems = []


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def wanted_pages():
    programs = re.findall(r"^tambo_(?:daemon|command)\((\w+)", read("CMakeLists.txt"), re.M)
    return {**{name: "8" for name in programs}, **PAGES}


def check_pages():
    wanted = wanted_pages()
    for name, section in wanted.items():
        path = "man/%s.%s" % (name, section)
        if not os.path.exists(os.path.join(ROOT, path)):
            problems.append(path + ": missing")
    for path in sorted(glob.glob(os.path.join(ROOT, "man", "*"))):
        name, section = os.path.basename(path).rsplit(".", 1)
        if wanted.get(name) != section:
            problems.append("man/%s.%s: of no program or file" % (name, section))
        for number, line in enumerate(read(path).splitlines(), 1):
            for to, where in re.findall(r"\.?\bXr (\S+) (\d)", line):
                if wanted.get(to, where) != where:
                    problems.append("man/%s.%s:%d: %s is in section %s"
                                    % (name, section, number, to, wanted[to]))


def check_mandoc():
    if shutil.which("mandoc") is None:
        problems.append("mandoc is not installed: ./dev deps")
        return
    pages = [os.path.relpath(p, ROOT) for p in sorted(glob.glob(os.path.join(ROOT, "man", "*")))]
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    problems.extend(lint.stdout.splitlines())


def check_paths(document):
    """Whatever stands in backquotes and begins like a path of the repository is one."""
    if not os.path.exists(os.path.join(ROOT, document)):
        problems.append(document + ": missing")
        return
    tops = {name for name in os.listdir(ROOT) if not name.startswith((".", "build", "run"))}
    for number, line in enumerate(read(document).splitlines(), 1):
        for quoted in re.findall(r"`([^`]+)`", line):
            if re.search(r"[\s<>*=()|]", quoted):
                continue
            is_path = "/" in quoted and quoted.split("/")[0] in tops
            is_file = re.fullmatch(r"[A-Z]\w+\.(md|txt|json)", quoted) is not None
            if (is_path or is_file) and not os.path.exists(os.path.join(ROOT, quoted)):
                problems.append("%s:%d: there is no %s" % (document, number, quoted))


def cited(text):
    """(number of the line, what) of RULES.md R1, R2 and R3 to R5; of ARCHITECTURE.md, "Heading".
    A citation may go on behind the end of a line of comment."""
    rules = r"RULES\.md\s+(?:(?://|#)\s*)?([A-Z]\d+(?:(?:, | and | to )[A-Z]\d+)*)"
    headings = r"\b((?:RULES|ARCHITECTURE)\.md), \"([^\"\n]+)\""
    for found in re.finditer(rules, text):
        for rule in re.findall(r"[A-Z]\d+", found.group(1)):
            yield text.count("\n", 0, found.start()) + 1, rule
    for found in re.finditer(headings, text):
        yield text.count("\n", 0, found.start()) + 1, found.groups()


def check_citations():
    """Rules are the items of RULES.md that begin with their number."""
    rules = re.findall(r"^- \*\*([A-Z]\d+)\*\* ", read("RULES.md"), re.M)
    problems.extend("RULES.md: %s is there twice" % rule
                    for rule in sorted(set(rules)) if rules.count(rule) > 1)
    known = set(rules)
    for document in ("RULES.md", "ARCHITECTURE.md"):
        known.update((document, title) for title in re.findall(r"^##+ (.+)$", read(document), re.M))
    number_of_citations = 0
    for folder, folders, names in os.walk(ROOT):
        if folder == ROOT:
            folders[:] = [name for name in folders if not name.startswith((".", "build", "run"))]
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), ROOT)
            if not name.endswith(SOURCES) or path == "tests/tidy/docs.py":
                continue
            text = read(path)
            for found in re.finditer(r"\bresearch/|\bDESIGN\b", text):
                problems.append("%s:%d: %s is not in the repository"
                                % (path, text.count("\n", 0, found.start()) + 1, found.group()))
            for number, what in cited(text):
                number_of_citations += 1
                if what not in known:
                    problems.append("%s:%d: there is no %s"
                                    % (path, number, what if isinstance(what, str)
                                       else '"%s" in %s' % (what[1], what[0])))
    if number_of_citations == 0:
        problems.append("RULES.md: no source cites it")


def check_picture():
    """Against the built master, unless it is older than its table."""
    sources = [os.path.join(ROOT, "master", name) for name in ("wiring.cc", "picture.cc")]
    for preset in ("release", "dev"):
        master = os.path.join(ROOT, "build", preset, "bin", "master")
        if not os.path.exists(master):
            continue
        if os.path.getmtime(master) < max(os.path.getmtime(path) for path in sources):
            continue
        printed = subprocess.run([master, "--print-wiring"], check=True, text=True,
                                 stdout=subprocess.PIPE).stdout
        if printed not in read("README.md"):
            problems.append("README.md: an old picture of the daemons: ./dev wiring")
        return
    print("the picture in README.md was not compared: no master is built")


def main():
    check_pages()
    check_mandoc()
    for document in DOCUMENTS:
        check_paths(document)
    check_citations()
    check_picture()
    for problem in problems:
        print(problem)
    print("%d problems" % len(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
