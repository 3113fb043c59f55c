"""Reads the fenced blocks of a page: what a reader types, what they save as a file, what they should see."""

import re
from dataclasses import dataclass, field
from pathlib import Path

# Typed into a shell.
SHELL = "bash"
# Saved under the name in the first line's comment; a block of bash runs the file.
FILES = {"python": "# ", "typescript": "// ", "rust": "// ", "toml": "# "}
# Shown: what the block before it answers, or, without one in the same section, an illustration.
SHOWN = {"text", "json", "http"}

FENCE = re.compile(r"^```(.*)$")
HEADING = re.compile(r"^#+ ")
NAME = re.compile(r"[\w./-]+\.\w+")
# In what is shown, this stands for anything.
ANYTHING = "…"


class PageError(Exception):
    """What a page must not have; the text names the place."""


@dataclass
class Block:
    """One fenced block that does something."""

    line: int
    text: str
    # The file that it is saved as, or None where it is typed.
    file: str | None = None
    # What it is said to answer.
    shown: list[str] = field(default_factory=list)


def blocks(path):
    """The blocks of a page that are typed or saved, in order, each with what is shown after it.

    Raises PageError for a fence that is not closed, a kind that is not known, a file without a name, and a
    file that no other block mentions, since nothing would run it.
    """
    found, latest = [], None
    for line, kind, text in fences(path):
        where = f"{path}:{line}"
        if kind is None:
            latest = None
        elif kind == SHELL:
            latest = Block(line, text)
            found.append(latest)
        elif kind in FILES:
            found.append(Block(line, text, file=file_name(where, kind, text)))
            latest = None
        elif kind in SHOWN:
            if latest:
                latest.shown.append(text)
            latest = None
        else:
            known = ", ".join([SHELL, *FILES, *sorted(SHOWN)])
            raise PageError(f"{where}: a block of kind '{kind}'; there are {known}")
    for block in found:
        if block.file and not is_used(block, found):
            raise PageError(f"{path}:{block.line}: nothing on the page runs {block.file}")
    return found


def fences(path):
    """Each fence with its line, kind and text; and (line, None, "") for each heading."""
    kind, start, lines = None, 0, []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if kind is None and fence:
            kind, start, lines = fence[1].strip(), number, []
        elif kind is not None and line == "```":
            yield start, kind, "\n".join(lines) + "\n"
            kind = None
        elif kind is not None:
            lines.append(line)
        elif HEADING.match(line):
            yield number, None, ""
    if kind is not None:
        raise PageError(f"{path}:{start}: the block is not closed")


def file_name(where, kind, text):
    first, comment = text.splitlines()[0] if text.strip() else "", FILES[kind]
    name = first.removeprefix(comment).strip()
    if not first.startswith(comment) or not NAME.fullmatch(name) or name.startswith(("/", "..")):
        raise PageError(f"{where}: the first line has to name the file, as in '{comment}name.ext'")
    return name


def is_used(block, all_blocks):
    """Whether another block mentions the file; cargo finds its own by their places."""
    name = Path(block.file)
    if name.suffix == ".rs" or name.name == "Cargo.toml":
        return any(not other.file and re.search(r"\bcargo\b", other.text) for other in all_blocks)
    word = re.compile(rf"\b{re.escape(name.stem)}\b")
    return any(other is not block and word.search(other.text) for other in all_blocks)


def agrees(shown, printed):
    """Whether what was printed is what the page shows, the ends of lines and ANYTHING aside."""
    pieces = [re.escape(tidy(piece)) for piece in tidy(shown).split(ANYTHING)]
    return re.fullmatch(".*".join(pieces), tidy(printed), re.DOTALL) is not None


def tidy(text):
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) if "\n" in text else text.strip("\r\n")
