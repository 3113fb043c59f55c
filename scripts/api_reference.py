"""Writes the generated part of docs/api.md of the two OpenAPI documents, or checks that it is theirs.

    api_reference.py write|check
"""

import collections
import json
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "api.md"
BEGIN = "<!-- From here on by `make schema`. -->\n"
PORTS = [
    ("The public port", "openapi.json", "Through the gateway, at its base URL."),
    ("The internal port", "openapi-internal.json", "For the gateway and for operators; never public."),
]
# An answer that so many endpoints have in the same words stands once above them all.
COMMON = 5
CREDENTIALS = {
    "access_token": "`Authorization: Bearer` with an access token",
    "client_secret_basic": "HTTP Basic with the client's id and secret, or `private_key_jwt`",
    "gateway_credential": "`Authorization: Bearer` with the gateway's credential",
    "operator_credential": "`Authorization: Bearer` with an operator's credential",
}


def main():
    if sys.argv[1:] not in (["write"], ["check"]):
        sys.exit("usage: api_reference.py write|check")
    old = PAGE.read_text(encoding="utf-8")
    written, found, _ = old.partition(BEGIN)
    if not found:
        sys.exit(f"docs/api.md: the line {BEGIN.strip()} is missing")
    new = written + found + "\n" + "\n".join(port(*each) for each in PORTS)
    if sys.argv[1] == "write":
        PAGE.write_text(new, encoding="utf-8")
    elif new != old:
        sys.exit("docs/api.md differs from the OpenAPI documents; run: make schema")


def port(title, name, intro):
    document = json.loads((DOCS / name).read_text(encoding="utf-8"))
    operations = [
        (method.upper(), path, operation)
        for path, methods in sorted(document["paths"].items())
        for method, operation in sorted(methods.items())
    ]
    counted = collections.Counter(
        (status, answer["description"])
        for _, _, operation in operations
        for status, answer in operation["responses"].items()
    )
    common = sorted(each for each, count in counted.items() if count >= COMMON and each[0] >= "400")
    lines = [f"## {title}", "", f"{intro} As a document: [{name}]({name}).", ""]
    lines += ["What several endpoints answer in the same way:", "", *table(["status", "meaning"])]
    lines += [row(status, text) for status, text in common]
    for method, path, operation in operations:
        lines += ["", *described(method, path, operation, set(common))]
    lines += ["", f"### Bodies of {title[0].lower()}{title[1:]}"]
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += ["", *body(name, schema)]
    return "\n".join(lines) + "\n"


def described(method, path, operation, common):
    yield f"### `{method} {path}`"
    yield ""
    yield " ".join(flat(operation.get(part, "")) for part in ("summary", "description")).strip()
    if security := operation.get("security"):
        names = [CREDENTIALS[name] for one in security for name in one]
        yield ""
        yield f"Credential: {' or '.join(names)}{'; or none' if {} in security else ''}."
    parameters = operation.get("parameters", [])
    if parameters:
        yield ""
        yield from table(["parameter", "in", "needed", "meaning"])
        for each in parameters:
            needed = "yes" if each.get("required") else ""
            yield row(f"`{each['name']}`", each["in"], needed, meaning(each))
    if request := operation.get("requestBody"):
        for kind, content in request["content"].items():
            yield ""
            yield f"Body: `{kind}`, {type_of(content['schema'])}."
    yield ""
    yield from table(["status", "body", "meaning"])
    for status, answer in sorted(operation["responses"].items()):
        if (status, answer["description"]) not in common:
            kinds = [of_kind(kind, content) for kind, content in answer.get("content", {}).items()]
            yield row(status, " or ".join(kinds), answer["description"])
    also = [status for status, answer in sorted(operation["responses"].items()) if (status, answer["description"]) in common]
    if also:
        yield ""
        yield f"And as above: {', '.join(also)}."


def body(name, schema):
    yield f"#### {name}"
    yield ""
    if text := flat(schema.get("description", "")):
        yield text
        yield ""
    yield from table(["field", "type", "needed", "meaning"])
    for field, of in sorted(schema.get("properties", {}).items()):
        needed = "yes" if field in schema.get("required", []) else ""
        yield row(f"`{field}`", type_of(of), needed, meaning(of))


def of_kind(kind, content):
    named = type_of(content.get("schema", {}))
    return named if kind == "application/json" and named else f"`{kind}`"


def type_of(schema):
    """In words, with a link where it is one of the bodies."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if options := schema.get("oneOf") or schema.get("anyOf"):
        return " or ".join(type_of(each) for each in options if each.get("type") != "null")
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    words = [f"list of {type_of(schema.get('items', {}))}" if each == "array" else each for each in types if each != "null"]
    return " or ".join(words)


def meaning(of):
    text = flat(of.get("description", ""))
    example = of.get("example")
    if isinstance(example, str) and example and f"`{example}`" not in text:
        text = f"{text} For instance `{example}`.".strip()
    return text


def table(names):
    return ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]


def row(*cells):
    return "| " + " | ".join(flat(cell).replace("|", "\\|") for cell in cells) + " |"


def flat(text):
    return " ".join(text.split())


if __name__ == "__main__":
    main()
