"""moto's server, but with conditional writes in one step, as S3 does them: moto looks first and writes then."""

import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

moto = DomainDispatcherApplication(create_backend_app)
one_at_a_time = threading.Lock()


def application(environ, start_response):
    if "HTTP_IF_NONE_MATCH" not in environ:
        return moto(environ, start_response)
    with one_at_a_time:
        return moto(environ, start_response)


run_simple("127.0.0.1", 0, application, threaded=True)
