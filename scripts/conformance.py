"""Makes docs/conformance.md of what the tests said.

    conformance.py write|check OUTPUT

OUTPUT holds what `cargo test` printed, all suites one after the other. A test belongs to the rows and
defects that its name begins with, as in `defect_12_row_9_rfc_6749_5_1_...`. `write` writes the table.
`check` fails when the table in the repository is another one, when a MUST row has no passing test or none
that names the RFC and its section, or when a defect of the old bridge (MUST) has no passing test.
"""

import csv
import re
import sys
from collections import defaultdict
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = REPOSITORY / "tests" / "conformance"
TABLE = REPOSITORY / "docs" / "conformance.md"

SUITE = re.compile(r"^\s+Running .*[/\\]([A-Za-z0-9_]+)-[0-9a-f]{16}(?:\.exe)?\)$")
RESULT = re.compile(r"^test (?:[A-Za-z0-9_]+::)*([a-z0-9_]+) \.\.\. (ok|FAILED|ignored)")
BELONGS = re.compile(r"(row|defect)_([0-9]+)_")

HEAD = """# Conformance

Made by `make conformance` from the results of the tests; `make test` fails when it is out of date. A test
belongs to the rows and defects that its name begins with. Where no suite stands before a name, the test
runs on the service alone (`oauth/`); `filter` is the plugin's logic, every other suite is a file of
`tests/end-to-end/tests` and runs on a real Envoy.

"""


def main():
    command, output = sys.argv[1:]
    tests = read_results(Path(output).read_text(encoding="utf-8", errors="replace"))
    requirements, defects = read_table("requirements.tsv"), read_table("defects.tsv")
    text = render(requirements, defects, tests)
    if command == "write":
        TABLE.write_text(text, encoding="utf-8")
        print(f"wrote {TABLE.relative_to(REPOSITORY)}")
    elif command != "check":
        sys.exit(__doc__)
    problems = list(missing(requirements, defects, tests))
    if command == "check" and (not TABLE.is_file() or TABLE.read_text(encoding="utf-8") != text):
        problems.append("docs/conformance.md is out of date: `make conformance` writes it")
    for problem in problems:
        print(f"conformance: {problem}")
    sys.exit(1 if problems else 0)


def read_results(text):
    """The tests of each row and defect: {("row", "9"): {(suite, name): passed}}."""
    tests, suite = defaultdict(dict), ""
    for line in text.splitlines():
        if found := SUITE.match(line):
            suite = found[1]
        elif found := RESULT.match(line):
            name, result = found.groups()
            if result == "ignored":
                continue
            for owner in owners(name):
                tests[owner][(suite, name)] = result == "ok"
    return tests


def owners(name):
    """The rows and defects that a test's name begins with."""
    place = 0
    while found := BELONGS.match(name, place):
        yield found.groups()
        place = found.end()


def read_table(name):
    with open(DATA / name, encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]


def missing(requirements, defects, tests):
    for row, level, source, _ in requirements:
        own = tests.get(("row", row), {})
        for (_, name), passed in sorted(own.items()):
            if not passed:
                yield f"row {row}: {name} fails"
        if level != "MUST":
            continue
        passing = [name for (_, name), passed in own.items() if passed]
        if not passing:
            yield f"row {row} (MUST) has no passing test"
        elif "RFC" in source and not any(
            re.search(rf"row_{row}_rfc_[0-9]+_(?:section_)?[0-9]", name) for name in passing
        ):
            yield f"row {row} (MUST) has no passing test that is named after an RFC and its section"
    for defect, level, *_ in defects:
        own = tests.get(("defect", defect), {})
        if level == "MUST" and not any(own.values()):
            yield f"defect {defect} has no passing test"
    known = {("row", row[0]) for row in requirements} | {("defect", row[0]) for row in defects}
    for kind, number in sorted(tests.keys() - known):
        yield f"tests are named after {kind} {number}, which does not exist"


def render(requirements, defects, tests):
    text = HEAD + "## Requirements\n\n"
    text += "| # | level | requirement | source | tests | result |\n|---|---|---|---|---|---|\n"
    for row, level, source, requirement in requirements:
        own = tests.get(("row", row), {})
        text += line(row, level, requirement, source, names(own), result(own))
    text += "\n## Defects of the bridge that this replaces\n\n"
    text += "| # | level | of | what was wrong | tests | result |\n|---|---|---|---|---|---|\n"
    for defect, level, area, what in defects:
        own = tests.get(("defect", defect), {})
        text += line(defect, level, area, what, names(own), result(own))
    return text


def line(*cells):
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |\n"


def names(own):
    return "<br>".join(place(suite) + f"`{name}`" for suite, name in sorted(own))


def place(suite):
    known = {"ib_oauth": "", "ib_gateway_logic": "filter: ", "ib_contract": "contract: "}
    return known.get(suite, f"{suite}: ")


def result(own):
    if not own:
        return "no test"
    failed = sum(not passed for passed in own.values())
    return f"{failed} of {len(own)} fail" if failed else f"{len(own)} pass"


main()
