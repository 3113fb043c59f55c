"""Checks what the documents say about the repository.

In docs/security.md every test that is named exists, every row of a threat names one, and every file is
there. Every row of the error tables has its row in the guide on recovery. In all documents every link within
the repository leads to a file, and to a heading of it.
"""

import fnmatch
import os
import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SECURITY = REPOSITORY / "docs" / "security.md"
ERRORS = REPOSITORY / "docs" / "errors.md"
RECOVERY = REPOSITORY / "docs" / "guide" / "recovery.md"
# Fetched, or not ours.
SKIPPED = {"node_modules", ".git"}

RUST_TEST = re.compile(r"#\[(?:tokio::)?test\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:async )?fn (\w+)")
PYTHON_TEST = re.compile(r"^ +def (test_\w+)\(self", re.MULTILINE)
JAVASCRIPT_TEST = re.compile(r'^test\("([^"]+)"', re.MULTILINE)
CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
# The last column of a table of threats.
SHOWN_BY = "shown by"
# No setting is as long as a test's name.
LONGEST_SETTING = 3


def main():
    problems = [*security(), *recovery(), *links()]
    for problem in problems:
        print(f"documents: {problem}")
    sys.exit(1 if problems else 0)


def security():
    """What docs/security.md names that is not there."""
    known, text = tests(), FENCE.sub("", SECURITY.read_text(encoding="utf-8"))
    named = set()
    for name in CODE.findall(text):
        if re.fullmatch(r"[a-z0-9_]+", name) and name.count("_") > LONGEST_SETTING:
            named.add(name)
        elif is_path(name) and not (REPOSITORY / name).exists():
            yield f"docs/security.md: there is no file {name}"
    threats = 0
    for cells in rows_shown_by(text):
        shown = CODE.findall(cells[-1])
        named.update(shown)
        threats += 1
        if not shown:
            yield f"docs/security.md: no test shows: {cells[0]}"
        if not any(map(is_path, CODE.findall(cells[-2]))):
            yield f"docs/security.md: no file has the measure against: {cells[0]}"
    if not threats:
        yield "docs/security.md: no table of threats was found"
    for name in sorted(named - known):
        yield f"docs/security.md: there is no test {name}"


def rows_shown_by(text):
    """The cells of each row below a heading whose last cell is SHOWN_BY."""
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[-1] == SHOWN_BY:
            inside = True
        elif inside and not set(line) <= set("|-"):
            yield cells


def recovery():
    """Errors for which the guide says no way to go on, and ways for errors that are not there."""
    known, answered = situations(ERRORS), situations(RECOVERY)
    if not known:
        yield "docs/errors.md: no table of situations was found"
    for each in sorted(known - answered):
        yield f"docs/guide/recovery.md: no row for: {' / '.join(each)}"
    for each in sorted(answered - known):
        yield f"docs/guide/recovery.md: docs/errors.md has no such row: {' / '.join(each)}"


def situations(path):
    """The cells up to `situation` of every row of the tables that have such a column."""
    found, columns = set(), 0
    for line in FENCE.sub("", path.read_text(encoding="utf-8")).splitlines():
        cells = [LINK.sub("", cell).strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            columns = 0
        elif "situation" in cells:
            columns = cells.index("situation") + 1
        elif columns and not set(line) <= set("|-"):
            found.add(tuple(cells[:columns]))
    return found


def is_path(name):
    return re.fullmatch(r"[\w.-]+(/[\w.-]+)+|[A-Z]\w+\.\w+", name) is not None


def tests():
    """The names of all tests in Rust, Python and JavaScript."""
    names = set()
    for path in files("*.rs"):
        names.update(RUST_TEST.findall(path.read_text(encoding="utf-8")))
    for path in files("test_*.py"):
        names.update(PYTHON_TEST.findall(path.read_text(encoding="utf-8")))
    for path in files("*.test.mjs"):
        names.update(JAVASCRIPT_TEST.findall(path.read_text(encoding="utf-8")))
    return names


def links():
    """Links that lead nowhere."""
    for path in sorted(files("*.md")):
        text = FENCE.sub("", path.read_text(encoding="utf-8"))
        for link in LINK.findall(text):
            if re.match(r"[a-z]+:", link):
                continue
            name, _, heading = link.partition("#")
            target = (path.parent / name).resolve() if name else path
            place = path.relative_to(REPOSITORY)
            if not target.exists():
                yield f"{place}: {link} leads to no file"
            elif heading and target.suffix == ".md" and heading not in headings(target):
                yield f"{place}: {link} leads to no heading"


def headings(path):
    """The names by which GitHub links to the headings of a document."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    found = set()
    for title in re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE):
        title = LINK.sub(lambda link: link[0][1:].split("]")[0], title)
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        number, own = 0, slug
        while own in found:
            number += 1
            own = f"{slug}-{number}"
        found.add(own)
    return found


def files(pattern):
    """All files of this pattern that are the project's own."""
    for folder, folders, names in os.walk(REPOSITORY):
        # What cargo builds stands beside a manifest; `target` elsewhere is a module.
        built = {"target"} if "Cargo.toml" in names else set()
        folders[:] = [name for name in folders if name not in SKIPPED | built]
        yield from (Path(folder, name) for name in fnmatch.filter(names, pattern))


main()
