"""A server that speaks DynamoDB's protocol, for the tests: moto, on the loopback port that is given.

moto keeps its tables in memory and is not made for requests at the same time: a transaction that fails
puts back copies of all tables. Requests are therefore done one after the other, which is what DynamoDB
promises of transactions. Its bound of items in a transaction is an old one of DynamoDB.
"""

import sys
import threading

from moto.dynamodb import responses
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


responses.TRANSACTION_MAX_ITEMS = 100


class OneAtATime:
    """A WSGI application whose requests wait for each other."""

    def __init__(self, application):
        self.application = application
        self.turn = threading.Lock()

    def __call__(self, environment, start_response):
        with self.turn:
            return list(self.application(environment, start_response))


class Handler(WSGIRequestHandler):
    """Keeps connections open between requests, and no log."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *_):
        pass


application = OneAtATime(DomainDispatcherApplication(create_backend_app))
server = make_server(
    "127.0.0.1", int(sys.argv[1]), application, threaded=True, request_handler=Handler
)
# Hundreds of connections may come at once.
server.socket.listen(1024)
server.serve_forever()
