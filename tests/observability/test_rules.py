"""The rules of deploy/observability: what promtool says of them, and what an operator needs of each alert."""

import os
import pathlib
import re
import subprocess
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/observability"
# What to do at an alert: in the file's own document, or in that of operations.
RUNBOOKS = {"machine-credentials": "docs/machine-credentials.md"}
PROMTOOL = os.environ["PROMTOOL"]
RULES = sorted((FOLDER / "rules").glob("*.yml"))


def load(path):
    return yaml.safe_load(path.read_text())


def alerts():
    """Each alert with the name of its file."""
    for path in RULES:
        for group in load(path)["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    yield path.stem, rule


def runbook(name):
    """Where the alerts of a file of rules are explained."""
    return RUNBOOKS.get(name, "docs/operations.md")


class Promtool(unittest.TestCase):
    def promtool(self, *arguments):
        command = [PROMTOOL, *[str(argument) for argument in arguments]]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_prometheus_takes_the_configuration_and_its_rules(self):
        self.promtool("check", "config", FOLDER / "prometheus.yml")

    def test_each_alert_fires_for_its_cause_and_is_quiet_before_and_after_it(self):
        for path in sorted((FOLDER / "tests").glob("*.yml")):
            with self.subTest(path.name):
                self.promtool("test", "rules", path)


class Alerts(unittest.TestCase):
    def test_there_are_alerts_in_each_file(self):
        self.assertEqual({name for name, _ in alerts()}, {"gateway", "machine-credentials", "service"})

    def test_each_says_how_bad_it_is_what_is_wrong_and_where_to_read_on(self):
        for name, rule in alerts():
            with self.subTest(rule["alert"]):
                self.assertIn(rule["labels"]["severity"], {"critical", "warning"})
                self.assertEqual(set(rule["annotations"]), {"summary", "description", "runbook_url"})
                anchor = f"{runbook(name)}#{rule['alert'].lower()}"
                self.assertEqual(rule["annotations"]["runbook_url"], anchor)

    def test_each_has_a_section_in_the_runbook(self):
        for name, rule in alerts():
            with self.subTest(rule["alert"]):
                sections = re.findall(r"^### (\w+)$", (ROOT / runbook(name)).read_text(), re.MULTILINE)
                self.assertIn(rule["alert"], sections)

    def test_each_has_a_test_in_which_it_fires_once_and_is_quiet_before_and_after(self):
        for name in {name for name, _ in alerts()}:
            tested = {}
            for test in load(FOLDER / "tests" / f"{name}.yml")["tests"]:
                for case in test["alert_rule_test"]:
                    tested.setdefault(case["alertname"], []).append(len(case["exp_alerts"]))
            wanted = {rule["alert"] for file, rule in alerts() if file == name}
            self.assertEqual(set(tested), wanted)
            for alert, fired in tested.items():
                causes = max(len(fired) // 3, 1)
                self.assertEqual(fired, [0, 1, 0] * causes, alert)

    def test_none_waits_for_a_job_that_nobody_scrapes(self):
        jobs = {job["job_name"] for job in load(FOLDER / "prometheus.yml")["scrape_configs"]}
        named = set()
        for path in RULES:
            named |= set(re.findall(r'\bjob="([^"]+)"', path.read_text()))
        self.assertEqual(named, jobs)
