"""Which end an error of the gateway makes."""

import pytest

from app.cli.exits import ExitCode, code_of, code_of_event


@pytest.mark.parametrize(
    ("status", "code", "end"),
    [
        (401, "invalid_api_key", ExitCode.KEY_REFUSED),
        (403, "admin_required", ExitCode.KEY_REFUSED),
        (502, "provider_authentication_error", ExitCode.KEY_REFUSED),
        (403, "model_not_allowed", ExitCode.REFUSED),
        (400, "invalid_value", ExitCode.REFUSED),
        (402, "budget_exceeded", ExitCode.REFUSED),
        (404, "request_not_found", ExitCode.REFUSED),
        (429, "overloaded", ExitCode.REFUSED),
        (503, "provider_unavailable", ExitCode.UNREACHABLE),
        (504, "provider_timeout", ExitCode.UNREACHABLE),
        (503, "journal_unavailable", ExitCode.UNREACHABLE),
        (502, "provider_error", ExitCode.OTHER),
        (500, "internal_error", ExitCode.OTHER),
    ],
)
def test_the_exit_code_says_what_kind_of_error_it_was(status, code, end):
    assert code_of(status, code) is end


def test_a_connection_to_runware_that_broke_is_one_that_cannot_be_had():
    assert code_of(502, "provider_error", "connectionLost") is ExitCode.UNREACHABLE
    assert code_of(502, "provider_error", "providerError") is ExitCode.OTHER


@pytest.mark.parametrize(
    ("error", "end"),
    [
        ({"type": "image_generation_user_error", "code": "content_policy_violation"}, ExitCode.REFUSED),
        ({"type": "server_error", "code": "provider_error"}, ExitCode.OTHER),
        (
            {"type": "server_error", "code": "provider_error", "provider_code": "connectionLost"},
            ExitCode.UNREACHABLE,
        ),
        ({"type": "service_unavailable_error", "code": "provider_unavailable"}, ExitCode.UNREACHABLE),
    ],
)
def test_an_error_of_a_stream_has_no_status_and_the_same_end(error, end):
    assert code_of_event(error) is end
