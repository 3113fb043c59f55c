"""Logs the demo user in at the gateway of `make up`, as an application does, and prints what /token answers.

IB_GATEWAY is the gateway's base URL, SIMULATOR_CONTROL the simulator's control port.
"""

import base64
import hashlib
import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

GATEWAY = os.environ.get("IB_GATEWAY", "http://127.0.0.1:8080")
SIMULATOR = f"http://{os.environ.get('SIMULATOR_CONTROL', '127.0.0.1:8444')}"
CLIENT = {"client_id": "mcp-public-client", "redirect_uri": "http://127.0.0.1:7777/callback"}
PLATFORM = "company.intelligencebank.com"
USER = "ada"
# Seconds.
PATIENCE = 30

# Everything is on loopback.
browser = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main():
    verifier = secrets.token_urlsafe(32)
    digest = hashlib.sha256(verifier.encode()).digest()
    asked = CLIENT | {
        "response_type": "code",
        "scope": "profile",
        "state": secrets.token_urlsafe(16),
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
        "platform_url": PLATFORM,
    }
    login = ask(f"{GATEWAY}/authorize?{urllib.parse.urlencode(asked)}")
    content = parameter(login["loginUrl"], "token")
    ask(f"{SIMULATOR}/logins/{content}/complete", json.dumps({"user": USER}), "application/json")
    code = parameter(wait(login["token"]), "code")
    form = CLIENT | {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
    tokens = ask(f"{GATEWAY}/token", urllib.parse.urlencode(form), "application/x-www-form-urlencoded")
    print(json.dumps(tokens))


def wait(token):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            return ask(f"{GATEWAY}/authorize/poll?token={token}")["redirect_url"]
        except urllib.error.HTTPError as answer:
            if answer.code != 404:
                raise
        time.sleep(0.2)
    sys.exit("error: the login was not seen in time")


def ask(url, body=None, kind=None):
    headers = {"Accept": "application/json"} | ({"Content-Type": kind} if kind else {})
    request = urllib.request.Request(url, body and body.encode(), headers)
    with browser.open(request, timeout=PATIENCE) as answer:
        return json.load(answer)


def parameter(url, name):
    return urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)[name][0]


try:
    main()
except urllib.error.HTTPError as refused:
    sys.exit(f"error: {refused.url.partition('?')[0]} answered {refused.code}: {refused.read().decode()}")
except urllib.error.URLError as error:
    sys.exit(f"error: {GATEWAY} or {SIMULATOR} cannot be reached ({error.reason}); start a stack first: make up")
