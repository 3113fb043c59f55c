"""The dashboard and Grafana's provisioning, as far as can be told without Grafana: its JSON, not how it looks."""

import json
import pathlib
import re
import unittest

import yaml

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "deploy/observability/grafana"
DASHBOARD = json.loads((FOLDER / "dashboards/ib-gateway.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
# Of Grafana's grid.
COLUMNS = 24


class Provisioning(unittest.TestCase):
    def test_the_data_source_is_the_one_that_every_panel_asks(self):
        text = (FOLDER / "provisioning/datasources/prometheus.yml").read_text()
        sources = yaml.safe_load(text)["datasources"]
        self.assertEqual([source["type"] for source in sources], ["prometheus"])
        wanted = {"type": "prometheus", "uid": sources[0]["uid"]}
        for panel in PANELS:
            self.assertEqual(panel["datasource"], wanted, panel["title"])
            for target in panel["targets"]:
                self.assertEqual(target["datasource"], wanted, panel["title"])

    def test_grafana_reads_dashboards_from_a_file_provider(self):
        text = (FOLDER / "provisioning/dashboards/ib-gateway.yml").read_text()
        (provider,) = yaml.safe_load(text)["providers"]
        self.assertEqual(provider["type"], "file")
        self.assertTrue(provider["options"]["path"].startswith("/"))


class Dashboard(unittest.TestCase):
    def test_it_has_a_name_of_its_own_and_no_number_of_an_installation(self):
        self.assertEqual(DASHBOARD["uid"], "ib-gateway")
        self.assertNotIn("id", DASHBOARD)
        self.assertIsInstance(DASHBOARD["schemaVersion"], int)

    def test_no_two_panels_have_the_same_number(self):
        numbers = [panel["id"] for panel in DASHBOARD["panels"]]
        self.assertEqual(len(numbers), len(set(numbers)))

    def test_no_panel_lies_on_another_or_outside_the_grid(self):
        taken = {}
        for panel in DASHBOARD["panels"]:
            place = panel["gridPos"]
            self.assertTrue(place["w"] > 0 and place["h"] > 0, panel["title"])
            self.assertLessEqual(place["x"] + place["w"], COLUMNS, panel["title"])
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    self.assertNotIn((x, y), taken, f"{panel['title']} on {taken.get((x, y))}")
                    taken[x, y] = panel["title"]

    def test_every_panel_says_what_it_shows_in_which_unit_and_when_that_is_bad(self):
        for panel in PANELS:
            with self.subTest(panel["title"]):
                self.assertTrue(panel["title"] and len(panel["description"]) > 20)
                defaults = panel["fieldConfig"]["defaults"]
                self.assertTrue(defaults["unit"])
                steps = defaults["thresholds"]["steps"]
                self.assertIsNone(steps[0]["value"])
                values = [step["value"] for step in steps[1:]]
                self.assertEqual(values, sorted(values))

    def test_every_panel_asks_something_and_names_what_it_gets(self):
        for panel in PANELS:
            with self.subTest(panel["title"]):
                letters = [target["refId"] for target in panel["targets"]]
                self.assertTrue(letters)
                self.assertEqual(len(letters), len(set(letters)))
                for target in panel["targets"]:
                    self.assertTrue(target["expr"].strip() and target["legendFormat"])
                    # The running stack's test fills in this one alone.
                    self.assertLessEqual(set(re.findall(r"\$\w+", target["expr"])), {"$__rate_interval"})

    def test_the_first_row_is_figures_that_turn_red(self):
        above = [panel for panel in PANELS if panel["gridPos"]["y"] < 9]
        self.assertTrue(all(panel["type"] == "stat" for panel in above))
        coloured = [panel for panel in above if len(panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) > 1]
        self.assertGreaterEqual(len(coloured), 8)
