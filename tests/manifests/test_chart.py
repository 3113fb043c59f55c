"""The Helm chart: what helm says of it, what it renders, and what it refuses."""

import base64
import json
import pathlib
import re
import secrets
import tempfile
import unittest

import schemas
import yaml
from project import BINARIES, CHART, ROOT, helm, helm_template, named, need, run

DIGEST = "sha256:" + "a" * 64
PINNED = ["--set", f"plugin.image.digest={DIGEST}"]
# Every way that the chart is meant to be rendered.
WAYS = {
    "defaults": [],
    "redb": ["-f", CHART / "values-redb.yaml"],
    "redis": ["-f", CHART / "values-redis.yaml"],
    "istio": ["--set", "plugin.platform=istio", *PINNED],
    "envoyGateway": ["--set", "plugin.platform=envoyGateway", *PINNED],
    "everything": [
        "--set",
        "serviceMonitor.enabled=true",
        "--set",
        "serviceMonitor.labels.release=prometheus",
        "--set",
        "prometheusRule.enabled=true,prometheusRule.gateway=true,prometheusRule.labels.release=prometheus",
        "--set",
        f"image.digest={DIGEST}",
        "--set",
        "priorityClassName=high",
        "--set",
        "podLabels.team=a",
        "--set",
        "podAnnotations.note=b",
        "--set-json",
        'extraEnv=[{"name":"IB_OAUTH__LOG","value":"debug"}]',
        "--set-json",
        'imagePullSecrets=[{"name":"registry"}]',
        "--set-json",
        'nodeSelector={"a":"b"}',
        "--set-json",
        'tolerations=[{"key":"a","operator":"Exists"}]',
        "--set-json",
        'networkPolicy.monitoring=[{"podSelector":{"matchLabels":{"app":"prometheus"}}}]',
    ],
    "trial": [
        "--set",
        "persistence.enabled=false",
        "--set",
        "networkPolicy.enabled=false",
        "--set",
        "drainSeconds=0",
        "--set",
        "podDisruptionBudget.enabled=false",
    ],
}


class Rendered(unittest.TestCase):
    def test_helm_finds_nothing_to_complain_about(self):
        for name, options in WAYS.items():
            result = helm("lint", "--strict", CHART, *options)
            self.assertEqual(result.returncode, 0, f"{name}: {result.stdout}")

    def test_every_custom_resource_fits_its_schema(self):
        schemas.need_custom()
        self.every_object_fits(schemas.is_custom)

    def test_every_object_of_kubernetes_own_kinds_fits_its_schema(self):
        self.every_object_fits(lambda entry: not schemas.is_custom(entry))

    def every_object_fits(self, wanted):
        for name, options in WAYS.items():
            for entry in helm_template(*options):
                if wanted(entry):
                    with self.subTest(f"{name}: {entry['kind']}/{entry['metadata']['name']}"):
                        self.assertEqual(schemas.errors_of(entry), [])

    def test_a_wrong_field_of_a_pod_would_be_found(self):
        deployment = self.deployment()
        deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
        self.assertNotEqual(schemas.errors_of(deployment), [])

    def deployment(self, *options):
        return named(helm_template(*options), "Deployment", "ib-gateway")

    def test_the_chart_is_of_the_projects_version(self):
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        version = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M)[1]
        self.assertEqual((chart["version"], chart["appVersion"]), (version, version))

    def test_the_pod_has_no_more_rights_than_it_needs(self):
        for options in WAYS.values():
            pod = self.deployment(*options)["spec"]["template"]["spec"]
            [container] = pod["containers"]
            self.assertIs(pod["automountServiceAccountToken"], False)
            self.assertIs(pod["securityContext"]["runAsNonRoot"], True)
            self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
            self.assertEqual(
                container["securityContext"],
                {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            )
            self.assertIn("requests", container["resources"])

    def test_the_probes_ask_the_internal_port(self):
        [container] = self.deployment()["spec"]["template"]["spec"]["containers"]
        paths = {
            probe: container[probe]["httpGet"]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        }
        self.assertEqual(paths["livenessProbe"], {"path": "/healthz", "port": "internal"})
        self.assertEqual(paths["readinessProbe"], {"path": "/readyz", "port": "internal"})

    def test_a_pod_has_the_time_for_all_that_it_does_before_it_ends(self):
        for settings, seconds in (
            ([], 5 + 0 + 10 + 10),
            (["--set", "drainSeconds=7,settings.server.drain_seconds=100"], 7 + 100 + 10 + 10),
            (["--set", "settings.server.drain_seconds=600,settings.server.shutdown_seconds=60"], 5 + 600 + 60 + 10),
        ):
            with self.subTest(settings):
                pod = self.deployment(*settings)["spec"]["template"]["spec"]
                self.assertEqual(pod["terminationGracePeriodSeconds"], seconds)

    def test_the_alerts_are_those_of_the_observability_folder_with_a_link_that_leads_somewhere(self):
        base = "https://example.com/ib-gateway/"
        on = ["--set", "prometheusRule.enabled=true", "--set", f"prometheusRule.runbookBaseUrl={base}"]
        with_envoy = [*on, "--set", "prometheusRule.gateway=true"]
        own = ["service", "machine-credentials"]
        for options, names in [(on, own), (with_envoy, [*own, "gateway"])]:
            rendered = [o for o in helm_template(*options) if o["kind"] == "PrometheusRule"]
            wanted = []
            for name in names:
                text = (ROOT / f"deploy/observability/rules/{name}.yml").read_text()
                text = text.replace("runbook_url: docs/", f"runbook_url: {base}docs/")
                wanted += yaml.safe_load(text)["groups"]
            self.assertEqual([o["spec"]["groups"] for o in rendered], [wanted])
        self.assertEqual([o for o in helm_template() if o["kind"] == "PrometheusRule"], [])

    def test_the_service_is_scraped_as_the_job_that_the_alerts_know(self):
        (monitor,) = [o for o in helm_template(*WAYS["everything"]) if o["kind"] == "ServiceMonitor"]
        relabelled = monitor["spec"]["endpoints"][0]["relabelings"]
        self.assertEqual(relabelled, [{"targetLabel": "job", "replacement": "oauth"}])

    def test_the_internal_port_is_for_the_gateway_alone(self):
        policy = named(helm_template(), "NetworkPolicy", "ib-gateway")["spec"]
        [rule] = policy["ingress"]
        self.assertTrue(rule["from"] and all(rule["from"]))
        public = named(helm_template(), "Service", "ib-gateway-public")["spec"]["ports"]
        self.assertEqual([port["targetPort"] for port in public], ["public"])

    def test_secrets_are_referenced_and_never_rendered(self):
        for name, options in WAYS.items():
            objects = helm_template(*options)
            self.assertNotIn("Secret", [entry["kind"] for entry in objects], name)
            volumes = named(objects, "Deployment", "ib-gateway")["spec"]["template"]["spec"]["volumes"]
            self.assertIn(
                "ib-oauth-secrets", [volume.get("secret", {}).get("secretName") for volume in volumes]
            )

    def test_other_settings_start_other_pods(self):
        def annotations(*options):
            return self.deployment(*options)["spec"]["template"]["metadata"]["annotations"]

        self.assertEqual(annotations(), annotations())
        self.assertNotEqual(annotations(), annotations("--set", "settings.log=debug"))
        self.assertNotEqual(annotations(), annotations("--set-string", "secrets.revision=2"))

    def test_the_embedded_store_is_never_open_twice(self):
        deployment = self.deployment("-f", CHART / "values-redb.yaml")["spec"]
        self.assertEqual((deployment["replicas"], deployment["strategy"]), (1, {"type": "Recreate"}))

    def test_several_instances_are_replaced_one_after_the_other(self):
        deployment = self.deployment("-f", CHART / "values-redis.yaml")["spec"]
        self.assertGreater(deployment["replicas"], 1)
        self.assertEqual(deployment["strategy"]["rollingUpdate"]["maxUnavailable"], 0)
        self.assertNotIn("store", [volume["name"] for volume in deployment["template"]["spec"]["volumes"]])

    def test_the_notes_say_what_to_do_next(self):
        # Before a command of the notes is run, its text can be had by a dry run that asks no cluster.
        result = helm("install", "ib-gateway", CHART, "--dry-run=client", "--namespace", "ib-gateway")
        self.assertEqual(result.returncode, 0, result.stdout)
        notes = result.stdout.split("NOTES:")[1]
        for needed in (
            "create secret generic ib-oauth-secrets",
            "rollout status deployment/ib-gateway",
            "ib-gateway-internal.ib-gateway.svc.cluster.local:8082",
        ):
            self.assertIn(needed, notes)


class Refused(unittest.TestCase):
    def refused(self, because, *options):
        result = helm("template", "ib-gateway", CHART, *options)
        self.assertNotEqual(result.returncode, 0, options)
        self.assertIn(because, result.stdout)

    def test_values_that_cannot_work_are_refused_with_their_reason(self):
        self.refused("one file for one instance", "--set", "replicas=2")
        self.refused("pinned by its digest", "--set", "plugin.platform=istio")
        self.refused("plugin", "--set", "plugin.platform=nginx")
        self.refused("noSuchValue", "--set", "noSuchValue=1")
        self.refused("digest", "--set", "plugin.image.digest=latest")
        self.refused("listen", "--set", "settings.listen.public=0.0.0.0:1")
        self.refused("issuer", "--set", "settings.issuer=http://gateway.example.com")
        self.refused("existingSecret", "--set", "secrets.existingSecret=")
        self.refused("gateway", "--set-json", "networkPolicy.gateway=[]")

    def test_a_secret_in_the_place_of_its_file_is_refused(self):
        self.refused(
            "sealing",
            "--set",
            "settings.sealing.keys[0].id=1",
            "--set",
            "settings.sealing.keys[0].file=c2VjcmV0",
        )
        self.refused("credentials", "--set-json", 'settings.gateway.credentials=[{"secret":"x"}]')


class Contents(unittest.TestCase):
    def test_the_plugins_configuration_fits_its_schema(self):
        for options in (WAYS["defaults"], WAYS["redb"], WAYS["redis"]):
            text = named(helm_template(*options), "ConfigMap", "ib-gateway-plugin")["data"]["plugin.json"]
            self.assertEqual(schemas.plugin_errors(json.loads(text)), [])
        self.assertNotEqual(schemas.plugin_errors(json.loads(text) | {"no_such_field": 1}), [])

    def settings(self, *options):
        return yaml.safe_load(named(helm_template(*options), "ConfigMap", "ib-gateway")["data"]["oauth.yaml"])

    def check(self, settings):
        """The service's own judgement of the settings, with the files that they name made for it."""
        program = BINARIES / "ib-oauth"
        need(program.exists(), "ib-oauth is not built (make build)")
        with tempfile.TemporaryDirectory() as folder:
            for name in ("sealing-key", "token-tag-key", "gateway-credential", "redis-password"):
                file = pathlib.Path(folder) / name
                file.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
                file.chmod(0o600)
            text = (
                yaml.safe_dump(settings)
                .replace("/etc/ib-oauth/secrets", folder)
                .replace("/var/lib/ib-oauth", folder)
            )
            file = pathlib.Path(folder) / "oauth.yaml"
            file.write_text(text)
            return run(program, "check", "--config", file)

    def test_the_service_takes_the_settings(self):
        for name in ("defaults", "redb", "redis"):
            with self.subTest(name):
                result = self.check(self.settings(*WAYS[name]))
                is_known = "unknown" not in result.stdout or "`address`" in result.stdout
                need(is_known, "this build of the service has no store engine redis yet")
                self.assertEqual(result.returncode, 0, result.stdout)

    def test_the_service_would_refuse_wrong_ones(self):
        result = self.check(self.settings("--set", "settings.tokens.no_such_field=1"))
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("no_such_field", result.stdout)
