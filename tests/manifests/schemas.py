"""Objects against schemas: custom resources by the folder of CRD schemas, Kubernetes' own by its release's."""

import json
import pathlib

import jsonschema
import kubernetes_validate
from project import CRD_SCHEMAS, ROOT, need

KUBERNETES = "1.37"
PLUGIN = json.loads((ROOT / "docs/plugin-configuration.schema.json").read_text())

# What the schemas of the folder do not know yet, and Istio's own definition does (from 1.30).
NEWER = {("WasmPlugin", "v1alpha1"): {"failStrategy": ["FAIL_RELOAD"]}}


def is_custom(entry):
    """Whether the object is of a custom resource: Kubernetes' own groups are under k8s.io or without a dot."""
    group = entry["apiVersion"].rpartition("/")[0]
    own = "." not in group or group.endswith(".k8s.io")
    return not own or group == "gateway.networking.k8s.io"


def need_custom():
    """Skips the test where the schemas of custom resources cannot be had."""
    return pathlib.Path(need(CRD_SCHEMAS, "IB_GATEWAY_CRD_SCHEMAS is not set"))


def errors_of(entry):
    """What is wrong with an object, one text a fault. Skips where a schema cannot be had."""
    return custom_errors(entry) if is_custom(entry) else kubernetes_errors(entry)


def custom_errors(entry):
    folder = need_custom()
    group, _, version = entry["apiVersion"].rpartition("/")
    file = folder / group / f"{entry['kind'].lower()}_{version}.json"
    if not file.exists():
        return [f"{entry['kind']}: there is no schema {group}/{file.name}"]
    schema = json.loads(file.read_text())
    for field, values in NEWER.get((entry["kind"], version), {}).items():
        schema["properties"]["spec"]["properties"][field]["enum"] += values
    return texts(schema, entry)


def kubernetes_errors(entry):
    try:
        kubernetes_validate.validate(entry, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        path = ".".join(str(part) for part in error.path)
        return [f"{entry['kind']}/{entry['metadata'].get('name')} {path}: {error.message}"]
    return []


def plugin_errors(configuration):
    """What is wrong with a plugin's configuration."""
    return texts(PLUGIN, configuration)


def texts(schema, entry):
    validator = jsonschema.validators.validator_for(schema)(schema)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(entry)]
