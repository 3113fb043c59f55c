"""The person and their browser, for a client that has sent them to the authorization endpoint.

    person.py [--follow] AUTHORIZATION_URL

Opens the URL exactly as the client made it, fills in the page's forms as a browser without scripts does,
logs in at the simulated IntelligenceBank, and prints where the browser is sent at the end: the client's
redirect URI with its parameters. With --follow it goes there, too, since the client listens.
SIMULATOR_CONTROL is the simulator's control port, by default that of `make up`.
"""

import html.parser
import http.cookiejar
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

PLATFORM = "company.intelligencebank.com"
# Seconds. The service asks IntelligenceBank about a login twice a second at most.
PATIENCE = 30


class Page(html.parser.HTMLParser):
    """The forms and the links of a page."""

    def __init__(self, text):
        super().__init__()
        self.forms, self.links = [], {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.forms.append((attributes.get("action", ""), {}))
        elif tag == "input" and self.forms and attributes.get("name"):
            self.forms[-1][1][attributes["name"]] = attributes.get("value") or ""
        elif tag == "a" and attributes.get("id"):
            self.links[attributes["id"]] = attributes.get("href", "")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """The client listens at the redirect URI, and here is no client: the browser stops before it."""

    def redirect_request(self, *_arguments):
        return None


def main():
    *options, url = sys.argv[1:]
    browser = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
        NoRedirect(),
    )

    def submit(action, fields):
        body = urllib.parse.urlencode(fields).encode()
        return browser.open(urllib.parse.urljoin(url, action), body, timeout=PATIENCE)

    [(action, fields)] = Page(read(browser.open(url, timeout=PATIENCE))).forms
    waiting = Page(read(submit(action, fields | {"platform_url": PLATFORM})))
    log_in(waiting.links["open"])
    # The first of its forms is the Continue button, the other one begins again.
    action, fields = waiting.forms[0]
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            submit(action, fields).close()
        except urllib.error.HTTPError as answer:
            if answer.code != 303:
                raise
            print(answer.headers["Location"])
            if "--follow" in options:
                browser.open(answer.headers["Location"], timeout=PATIENCE).close()
            return
        # The page again: the login has not been seen yet.
        time.sleep(0.2)
    sys.exit("the login was not seen in time")


def log_in(login_url):
    [content] = urllib.parse.parse_qs(urllib.parse.urlsplit(login_url).query)["token"]
    request = urllib.request.Request(
        f"http://{os.environ.get('SIMULATOR_CONTROL', '127.0.0.1:8444')}/logins/{content}/complete",
        json.dumps({"user": "ada"}).encode(),
        {"Content-Type": "application/json"},
    )
    simulator = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    simulator.open(request, timeout=PATIENCE).close()


def read(answer):
    with answer:
        return answer.read().decode()


main()
