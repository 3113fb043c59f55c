"""Where things are, and what the environment says. Nothing here names a machine."""

import os
import pathlib
import subprocess
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/ib-gateway"
ISTIO = ROOT / "envoy/istio"
ENVOY_GATEWAY = ROOT / "envoy/envoy-gateway"

# The folder of CRD schemas, <group>/<kind>_<version>.json.
CRD_SCHEMAS = os.environ.get("IB_GATEWAY_CRD_SCHEMAS")
HELM = os.environ.get("HELM")
KUBECTL = os.environ.get("KUBECTL")
ENVOY = os.environ.get("ENVOY")
BINARIES = pathlib.Path(os.environ.get("IB_GATEWAY_BIN", ROOT / "target/run/bin"))


def need(value, what):
    """Skips the test, and says why, where `value` is missing."""
    if not value:
        raise unittest.SkipTest(what)
    return value


def run(*command, **options):
    """Runs a program. What it printed on both streams is in `stdout`."""
    return subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


def objects_of(text):
    """The objects of a YAML stream."""
    return [entry for entry in yaml.safe_load_all(text) if entry]


def named(objects, kind, name):
    """The one object of that kind and name."""
    found = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} objects {kind}/{name}"
    return found[0]


def kustomize(folder):
    """What `kubectl kustomize` makes of a folder."""
    result = run(need(KUBECTL, "kubectl could not be had"), "kustomize", folder)
    assert result.returncode == 0, result.stdout
    return objects_of(result.stdout)


def helm_template(*options):
    """The objects of the chart, rendered as for the release ib-gateway in the namespace ib-gateway."""
    result = helm("template", "ib-gateway", CHART, "--namespace", "ib-gateway", *options)
    assert result.returncode == 0, result.stdout
    return objects_of(result.stdout)


def helm(*arguments):
    """Runs helm."""
    return run(need(HELM, "helm could not be had"), *arguments)
