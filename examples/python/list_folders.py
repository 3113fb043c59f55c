"""Lists the folders of IntelligenceBank, and downloads an asset. The person logs in in a browser.

    list_folders.py [--download FILE]

IB_GATEWAY is the gateway's base URL, CLIENT_ID the client's id.
"""

import argparse
import http.server
import os
import secrets
import sys
import time
import urllib.parse
import webbrowser

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session

GATEWAY = os.environ.get("IB_GATEWAY", "http://127.0.0.1:8080")
CLIENT_ID = os.environ.get("CLIENT_ID", "mcp-public-client")
# Seconds that the person has.
PATIENCE = 300
# Seconds for one connection: browsers open some ahead, and say nothing on them.
CONNECTION_PATIENCE = 5


def main():
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--download", metavar="FILE", help="write the first asset there")
    download = arguments.parse_args().download

    with Callback() as callback:
        session = OAuth2Session(
            CLIENT_ID,
            scope="profile",
            redirect_uri=callback.uri,
            code_challenge_method="S256",
            token_endpoint_auth_method="none",
            # Authlib refreshes by itself when `expires_at` is near.
            token_endpoint=f"{GATEWAY}/token",
        )
        verifier = secrets.token_urlsafe(48)
        page, state = session.create_authorization_url(f"{GATEWAY}/authorize", code_verifier=verifier)
        print(f"Open this page in a browser: {page}", flush=True)
        if sys.stdout.isatty():
            webbrowser.open(page)
        back = callback.wait()
    # Somebody else's answer, or another server's (RFC 9207).
    if parameter(back, "state") != state or parameter(back, "iss") != GATEWAY:
        sys.exit("error: the answer does not belong to this login")
    # Without a code Authlib would try another grant.
    if not parameter(back, "code"):
        sys.exit(f"error: the login came to nothing: {parameter(back, 'error')}")
    token = session.fetch_token(authorization_response=back, state=state, code_verifier=verifier)
    api = f"{proxied(token['apiV3url'])}/api/3.0.0/{token['clientid']}"
    try:
        show_folders(session, api)
        if download:
            save_first_asset(session, api, download)
    finally:
        session.post(
            f"{GATEWAY}/logout",
            data={"token": session.token["refresh_token"], "client_id": CLIENT_ID},
            withhold_token=True,
            timeout=30,
        )


def show_folders(session, api):
    for folder in rows(session, f"{api}/folder.limit(0,100)?verbose"):
        print(folder["name"])


def save_first_asset(session, api, file):
    [asset] = rows(session, f"{api}/resource.limit(0,1)")
    url = f"{api}/resource/{asset['uuid']}?action=download"
    with session.get(url, stream=True, timeout=(5, 300)) as answer, open(file, "wb") as output:
        answer.raise_for_status()
        for piece in answer.iter_content(65_536):
            output.write(piece)
    print(f"{asset['name']}: {os.path.getsize(file)} bytes in {file}")


def rows(session, url):
    answer = session.get(url, timeout=(5, 60))
    if not answer.ok:
        sys.exit(f"error: {answer.status_code} {answer.text}")
    return answer.json()["response"]["rows"]


def proxied(url):
    """The gateway's address for one of IntelligenceBank's."""
    return f"{GATEWAY}/proxy/{urllib.parse.urlsplit(url).netloc}"


def parameter(url, name):
    return urllib.parse.parse_qs(urllib.parse.urlsplit(url).query).get(name, [None])[0]


class Callback(http.server.HTTPServer):
    """A port of this machine to which the browser comes back, once (RFC 8252)."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self.server_port}/callback"
        self.back = None

    def wait(self):
        deadline = time.monotonic() + PATIENCE
        while self.back is None:
            # For all connections together.
            self.timeout = max(0, deadline - time.monotonic())
            self.handle_request()
        return self.back

    def handle_timeout(self):
        sys.exit("error: nobody logged in in time")


class Handler(http.server.BaseHTTPRequestHandler):
    timeout = CONNECTION_PATIENCE

    def do_GET(self):
        found = self.path.startswith("/callback?")
        if found:
            self.server.back = urllib.parse.urljoin(self.server.uri, self.path)
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(b"You can close this window.\n")

    def log_message(self, *_arguments):
        """The request line holds the code."""


try:
    main()
except OAuthError as refused:
    sys.exit(f"error: {refused.error}: {refused.description}")
