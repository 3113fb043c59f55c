"""Authlib's OAuth2Session over `requests`: metadata, PKCE, refresh and revocation."""

import os
import subprocess
import sys
import traceback
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url

GATEWAY = os.environ["GATEWAY_URL"]
API = f"{GATEWAY}/proxy/company.intelligencebank.com/api/3.0.0/DemoCo1/user"
REDIRECT = "http://127.0.0.1:49152/callback"


def step(what):
    """Runs a step at once. The runner counts the lines that begin with `ok` and `not ok`."""

    def run(work):
        try:
            value = work()
        except Exception:
            print(f"not ok - {what}")
            traceback.print_exc()
            # What follows builds on it.
            sys.exit(1)
        print(f"ok - {what}")
        return value

    return run


def person(url):
    program = Path(__file__).parent.parent / "person.py"
    done = subprocess.run(
        ["python3", program, url], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


def session(client_id="mcp-public-client", **more):
    return OAuth2Session(
        client_id,
        redirect_uri=REDIRECT,
        scope="profile",
        code_challenge_method="S256",
        revocation_endpoint_auth_method=more.get("token_endpoint_auth_method", "none"),
        **({"token_endpoint_auth_method": "none"} | more),
    )


@step("the server's metadata passes Authlib's checks (RFC 8414)")
def metadata():
    answer = requests.get(get_well_known_url(GATEWAY, external=True), timeout=30)
    answer.raise_for_status()
    found = AuthorizationServerMetadata(answer.json())
    found.validate()
    return found


def log_in(client):
    verifier = generate_token(48)
    url, state = client.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier
    )
    back = person(url)
    assert parse_qs(urlsplit(back).query)["iss"] == [GATEWAY]
    # Authlib compares the state of the answer with its own.
    return client.fetch_token(
        metadata["token_endpoint"], authorization_response=back, code_verifier=verifier, state=state
    )


client = session()


@step("a public client logs a person in with PKCE and state")
def first():
    token = log_in(client)
    assert token["token_type"] == "Bearer" and token["expires_in"] > 0
    return dict(token)


@step("the session calls the proxied API with its token")
def call():
    answer = client.get(API, timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.json()["response"]["rows"]


@step("refreshes give new pairs, and the reuse of a spent token ends the family (RFC 9700)")
def refresh():
    second = dict(client.refresh_token(metadata["token_endpoint"], first["refresh_token"]))
    assert second["refresh_token"] != first["refresh_token"]
    third = dict(client.refresh_token(metadata["token_endpoint"], second["refresh_token"]))
    try:
        # Not the immediate predecessor: no lost answer explains it.
        session().refresh_token(metadata["token_endpoint"], first["refresh_token"])
    except OAuthError as refused:
        assert refused.error == "invalid_grant", refused
    else:
        raise AssertionError("a spent refresh token was good")
    try:
        client.refresh_token(metadata["token_endpoint"], third["refresh_token"])
    except OAuthError as refused:
        assert refused.error == "invalid_grant", refused
    else:
        raise AssertionError("the family outlived the reuse of a spent token")


@step("an access token that has expired by its own time is refreshed by the session itself")
def automatic():
    kept = []
    # Authlib calls this with the new token.
    own = session(
        token_endpoint=metadata["token_endpoint"], update_token=lambda token, **_: kept.append(token)
    )
    log_in(own)
    before = own.token["access_token"]
    own.token["expires_at"] = 1
    assert own.get(API, timeout=30).status_code == 200
    assert own.token["access_token"] != before and len(kept) == 1
    return own


@step("a confidential client logs in by HTTP Basic, introspects and revokes (RFC 7662, RFC 7009)")
def confidential():
    own = session(
        "test-backend",
        client_secret=os.environ["BACKEND_SECRET"],
        token_endpoint_auth_method="client_secret_basic",
    )
    token = log_in(own)

    def introspect(value):
        answer = own.introspect_token(metadata["introspection_endpoint"], token=value)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert introspect(token["access_token"])["active"] is True
    answer = own.revoke_token(metadata["revocation_endpoint"], token=token["refresh_token"])
    assert answer.status_code == 200, answer.text
    assert introspect(token["access_token"]) == {"active": False}


@step("a public client revokes its grant")
def revoke():
    answer = automatic.revoke_token(
        metadata["revocation_endpoint"], token=automatic.token["refresh_token"]
    )
    assert answer.status_code == 200, answer.text
    try:
        automatic.refresh_token(metadata["token_endpoint"], automatic.token["refresh_token"])
    except OAuthError as refused:
        assert refused.error == "invalid_grant", refused
    else:
        raise AssertionError("a revoked refresh token was good")
