"""What stands in for the OAuth service and for IntelligenceBank while a composed Envoy runs."""

import contextlib
import http.server
import json
import threading
import time

# Of the form of an access token (contract/src/access_token.rs). With no tag key in the feed, tags are not checked.
GOOD_TOKEN = "ibg_at_k1" + "A" * 65
OTHER_TOKEN = "ibg_at_k1" + "B" * 65
SID = "0123456789abcdef0123456789abcdef"
CREDENTIAL = "Bearer the-gateway-credential-of-this-test-run"


class StandIn:
    """A server on a free port that remembers what it was asked."""

    def __init__(self, answer):
        self.requests = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.requests.append((self.command, self.path, headers))
                status, content = answer(self.path, headers, body)
                content = json.dumps(content).encode()
                # Envoy may have gone away: a feed's poll is under way when a test ends.
                with contextlib.suppress(ConnectionError):
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(content)))
                    self.send_header("set-cookie", "upstream=1")
                    self.end_headers()
                    self.wfile.write(content)

            do_GET = do_POST = do_OPTIONS = handle_any

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]

    def to(self, path):
        """The requests to a path."""
        return [entry for entry in self.requests if entry[1].split("?")[0] == path]


@contextlib.contextmanager
def serving(*stand_ins):
    for stand_in in stand_ins:
        threading.Thread(target=stand_in.server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield
    finally:
        for stand_in in stand_ins:
            stand_in.server.shutdown()
            stand_in.server.server_close()


def service():
    """The OAuth service: one good token, a feed with nothing in it."""

    def answer(path, _headers, body):
        if path.startswith("/revocations"):
            # Not at once, or the gateway would ask again and again.
            time.sleep(0.5)
            return 200, {"as_of": 1, "events": [], "tag_keys": []}
        if path == "/introspect" and body == f"token={GOOD_TOKEN}".encode():
            now = int(time.time())
            session = {
                "session": "1",
                "hosts": ["company.intelligencebank.com", "apiv3.intelligencebank.com", "localhost"],
                "headers": {"sid": SID},
                "generation": 1,
                "refresh_in": 3000,
                "expires_in": 3600,
            }
            return 200, {
                "active": True,
                "version": 1,
                "as_of": 1,
                "client_id": "test-client",
                "scope": "profile",
                "sub": "ada",
                "aud": ["https://gateway.example.com/proxy/"],
                "iss": "https://gateway.example.com",
                "iat": now,
                "exp": now + 3600,
                "expires_in": 3600,
                "upstreams": [session],
            }
        if path == "/introspect":
            return 200, {"active": False, "reason": "invalid_token"}
        return 200, {"service": path}

    return StandIn(answer)


def intelligencebank():
    """IntelligenceBank: answers everything, and has no path that ends in /missing."""
    return StandIn(
        lambda path, _headers, _body: (
            (404, {"message": "not found"}) if path.endswith("/missing") else (200, {"path": path})
        )
    )


def static_cluster(name, port):
    """A cluster that leads to a stand-in."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }
