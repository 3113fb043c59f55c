"""Writes the software bill of materials of one package, in CycloneDX 1.6, and checks it against the schema.

sbom.py PACKAGE TARGET FILE

What the package is linked from is `required`, what only builds it (procedural macros, build scripts and what
those use) is `excluded`. The crates and their features are those that Cargo.lock and the whole workspace lead
to, so a crate may be listed that this package alone would not need. SOURCE_DATE_EPOCH is the time in it.
"""

import datetime
import json
import os
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

# For the number of a bill, which is the same for the same content.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:ib-gateway:sbom")


def main(name, target, file):
    metadata = cargo_metadata(target)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    [root] = [
        identifier for identifier in metadata["workspace_members"] if packages[identifier]["name"] == name
    ]
    linked = reach(root, nodes, packages, {None}, runs_at_build=False)
    used = reach(root, nodes, packages, {None, "build"}, runs_at_build=True)
    checksums = lock_checksums()
    components = {
        identifier: component(packages[identifier], checksums, identifier in linked, identifier == root)
        for identifier in used
    }
    bom = Bom(serial_number=uuid.uuid5(NAMESPACE, f"{name} {target} {sorted(used)}"))
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    bom.metadata.timestamp = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc)
    bom.metadata.component = components[root]
    for identifier in sorted(used - {root}):
        bom.components.add(components[identifier])
    for identifier in sorted(used):
        uses = {edge["pkg"] for edge in nodes[identifier]["deps"]} & used
        bom.register_dependency(components[identifier], [components[other] for other in sorted(uses)])
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem:
        sys.exit(f"sbom: what was made is no CycloneDX 1.6: {problem}")
    Path(file).write_text(text + "\n", encoding="utf-8")
    print(f"{file}: {len(linked) - 1} crates linked, {len(used - linked)} more to build it", file=sys.stderr)


def cargo_metadata(target):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def reach(root, nodes, packages, kinds, runs_at_build):
    """All packages that dependencies of these kinds lead to; procedural macros only where asked for."""
    found, waiting = {root}, [root]
    while waiting:
        for edge in nodes[waiting.pop()]["deps"]:
            other = edge["pkg"]
            if other in found or not kinds & {kind["kind"] for kind in edge["dep_kinds"]}:
                continue
            if not runs_at_build and is_macro(packages[other]):
                continue
            found.add(other)
            waiting.append(other)
    return found


def is_macro(package):
    return any("proc-macro" in target["kind"] for target in package["targets"])


def lock_checksums():
    lock = tomllib.loads(Path("Cargo.lock").read_text(encoding="utf-8"))
    return {
        (package["name"], package["version"]): package["checksum"]
        for package in lock["package"]
        if "checksum" in package
    }


def component(package, checksums, is_linked, is_root):
    name, version = package["name"], package["version"]
    checksum = checksums.get((name, version))
    licenses = [LicenseFactory().make_from_string(package["license"])] if package["license"] else []
    references = []
    if package["repository"]:
        url = XsUri(package["repository"])
        references.append(ExternalReference(type=ExternalReferenceType.VCS, url=url))
    return Component(
        type=ComponentType.APPLICATION if is_root else ComponentType.LIBRARY,
        bom_ref=f"{name}@{version}",
        name=name,
        version=version,
        description=package["description"],
        scope=ComponentScope.REQUIRED if is_linked else ComponentScope.EXCLUDED,
        licenses=licenses,
        # What is in this repository is on no registry.
        purl=PackageURL("cargo", name=name, version=version) if checksum else None,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [],
        external_references=references,
    )


main(*sys.argv[1:])
