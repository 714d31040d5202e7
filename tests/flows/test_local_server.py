from __future__ import annotations

import ssl

import pytest

from flows import local_server


@pytest.mark.parametrize("api_url", ["http://127.0.0.1:4200/api", "http://localhost:4200/api", "http://[::1]:4200/api"])
def test_who_speaks_plain_http_on_this_machine_reads_one_certificate(tmp_path, api_url):
    settings = local_server.without_tls(tmp_path, api_url)
    context = ssl.create_default_context(cafile=settings["SSL_CERT_FILE"])
    assert context.cert_store_stats()["x509"] == 1
    assert local_server.without_tls(tmp_path, api_url) == settings, "a second command replaces it"
    assert [path.name for path in tmp_path.iterdir()] == ["certificate.pem"]


@pytest.mark.parametrize(
    "api_url", ["https://127.0.0.1:4200/api", "http://prefect.example/api", "https://api.prefect.cloud/api", ""]
)
def test_who_may_need_to_verify_a_server_keeps_all_certificates(tmp_path, api_url):
    assert local_server.without_tls(tmp_path, api_url) == {}


def test_a_server_that_does_not_answer_has_no_count():
    assert local_server.count("http://127.0.0.1:9/api", "task_runs") is None
