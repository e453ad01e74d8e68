"""What the tests of `requests` ask of pytest-httpbin: here it is a server behind a proxy."""

import os

import pytest


class Server:
    url = os.environ.get("HTTPBIN_URL")


@pytest.fixture(scope="session")
def httpbin():
    return Server


@pytest.fixture
def httpbin_secure():
    pytest.skip("no TLS here")
