"""Runware's wire format and what its errors mean."""

from decimal import Decimal

import pytest

from app.generation.provider_errors import _BUILDERS, to_caller_field, to_caller_text, to_error
from app.runware.failures import KNOWN_CODES, Kind, ProviderFailure, classify, from_status, to_failure
from app.runware.retry import RetryPolicy, backoff, poll_delay
from app.runware.tasks import ImageTask
from app.runware.wire import UnreadableReplyError, WireFault, decode

UUID = "b37226ee-ee6e-49a8-b472-7d7136c8b161"

DOCUMENTED = {
    Kind.AUTHENTICATION: (
        "invalidApiKey missingApiKey unauthorized forbidden permissionDenied insufficientPermissions authenticationFailed "
        "authFailed authTimeout invalidAuthentication invalidCredentials missingAuthentication tokenExpired tokenInvalid "
        "tokenMissing tokenRevoked accountSuspended accountDisabled organizationSuspended organizationDisabled "
        "workspaceSuspended workspaceDisabled"
    ),
    Kind.MONEY: (
        "insufficientCredits thirdPartyInsufficientCredits videoInferenceInsufficientCredits paymentRequired "
        "textInferenceVideoInputInsufficientCredits providerInsufficientCredits environmentPaused someNewQuotaThing lowBalance"
    ),
    Kind.RATE_LIMIT: (
        "rateLimitExceeded inferenceRateLimitExceeded inferenceRateLimitRequestTooLarge providerRateLimitExceeded newRateLimitThing"
    ),
    Kind.MODERATION: (
        "contentPolicyViolation providerContentPolicyViolation sensitiveContentDetected unsafeContentDetected "
        "nsfwContentDetected promptBlocked imageBlocked moderationFailed invalidProviderContent"
    ),
    Kind.TIMEOUT: "providerTimeout providerGatewayTimeout webhookTimeout timeoutProvider someTimeoutElsewhere",
    Kind.CAPACITY: "providerUnavailable noAvailableServer modelUnavailable modelNotReady serviceUnavailable serverUnavailable",
    Kind.PROVIDER: (
        "providerError providerBadGateway providerInternalError providerUnknownError providerAuthenticationFailed "
        "inferenceError processingFailed taskFailed downloadFailed uploadFailed mediaStorageFileCouldNotBeMoved "
        "internalServerError standardError unknownError undefinedError defaultError unrecognizedResponse "
        "errorRetrievingAccountManagement taskCancelled providerSomethingNew"
    ),
    Kind.UNKNOWN_TASK: "taskFailedOrNotFound taskNotFound taskExpired",
    Kind.UNKNOWN_MODEL: "modelNotFound unknownModel invalidModel modelDisabled",
    Kind.INPUT_IMAGE: "failedToTransferImage mediaNotFound mediaExpired",
    Kind.CONFLICT: "conflictTaskUUID",
    Kind.INVALID: (
        "invalidWidth invalidCustomWidth invalidCustomHeight missingDimensionParameters invalidReferenceImages "
        "unsupportedParameter unsupportedDuration architectureId missingPositivePrompt invalidPositivePrompt "
        "invalidPositivePromptLength invalidParameter unsupportedTaskType unknownParameter incompatibleParameters "
        "valueTooLarge arrayTooSmall maxLycorisModelsExceeded duplicatePreloadModelAIR mismatchProviderSettingsProvider "
        "unknownProviderSettingsProvider transparentModelMismatch modelOwnershipValidationError modelAlreadyExists "
        "validationFailed invalidHeight providerNotFound invalidAnythingNew missingAnythingNew unsupportedAnythingNew maxAnything"
    ),
}
CODES = [(code, kind) for kind, codes in DOCUMENTED.items() for code in codes.split()]


@pytest.mark.parametrize(("code", "kind"), CODES, ids=[code for code, _ in CODES])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_the_code_decides_before_the_status(code, kind, status):
    assert classify(code, status) is kind


def test_every_code_in_the_table_is_in_this_test():
    assert set(KNOWN_CODES) <= {code for code, _ in CODES}


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, Kind.AUTHENTICATION), (402, Kind.MONEY), (403, Kind.AUTHENTICATION), (429, Kind.RATE_LIMIT), (500, Kind.PROVIDER),
     (502, Kind.PROVIDER), (503, Kind.CAPACITY), (504, Kind.TIMEOUT)],
)  # fmt: skip
def test_an_unknown_code_falls_to_its_status(status, kind):
    assert classify("quantumFluctuation", status) is kind
    assert from_status(status).kind is kind


@pytest.mark.parametrize(
    "content", ["Blocked by our content policy", '{"finishReason":"IMAGE_SAFETY"}', "Your request was flagged"]
)
@pytest.mark.parametrize("code", ["providerError", "somethingNew"])
def test_a_providers_refusal_over_content_is_moderation(content, code):
    assert to_failure(WireFault(code, "", content=content), 400).kind is Kind.MODERATION


def test_every_kind_has_words_for_the_caller():
    assert set(_BUILDERS) == set(Kind)
    for kind in Kind:
        error = to_error(ProviderFailure(kind, "someCode", ""))
        assert error.message.endswith(".")
        assert error.provider_code == "someCode"
        assert 400 <= error.status < 600
        assert error.status not in {408, 409}


@pytest.mark.parametrize(
    ("name", "field"),
    [("positivePrompt", "prompt"), ("inputs.referenceImages[1]", "image[1]"), ("seedImage", "image"), ("inputs.maskImage", "mask"),
     ("width", "size"), ("numberResults", "n"), ("outputFormat", "output_format"), ("lora[1].weight", "lora[1].weight"), ("steps", "steps")],
)  # fmt: skip
def test_runwares_names_become_the_callers(name, field):
    assert to_caller_field(name) == field


def test_messages_speak_the_callers_words_without_addresses():
    text = "Invalid value for 'inputs.referenceImages' parameter. See https://runware.ai/docs. Check positivePrompt\nand seedImage."
    assert to_caller_text(text) == "Invalid value for 'image' parameter. See Check prompt and image."
    assert len(to_caller_text("x" * 5000)) < 700


def test_a_task_goes_out_with_the_gateways_fields_on_top():
    task = ImageTask(
        UUID, "a:1@1", "a pear", 2, "URL", "PNG", 64, 64, 90,
        inputs={"seedImage": "s"}, fields={"steps": 9, "inputs": {"extra": "e"}, "includeCost": False},
    )  # fmt: skip
    assert task.to_wire() == {
        "taskType": "imageInference", "taskUUID": UUID, "model": "a:1@1", "positivePrompt": "a pear", "numberResults": 2,
        "outputType": "URL", "outputFormat": "PNG", "outputQuality": 90, "deliveryMethod": "sync", "includeCost": True,
        "width": 64, "height": 64, "steps": 9, "inputs": {"extra": "e", "seedImage": "s"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "images", "codes"),
    [
        (b'{"data":[{"taskUUID":"%s","imageURL":"u"}]}', 1, []),
        (b'{"data":{"taskUUID":"%s","imageURL":"u"}}', 1, []),
        (b'{"data":[],"errors":[{"code":"c","taskUUID":"%s"}]}', 0, ["c"]),
        (b'{"errors":{"code":"c","taskUUID":"%s"}}', 0, ["c"]),
        (b'{"error":{"code":"c","taskUUID":"%s"}}', 0, ["c"]),
        (b'{"error":"plain words for %s"}', 0, ["unknownError"]),
        (b'[{"code":"c","taskUUID":"%s"}]', 0, ["c"]),
        (b'{"code":"c","message":"for %s"}', 0, ["c"]),
        (b'{"errors":[{"errorId":"old","errorMessage":"m","taskUUID":"%s"}]}', 0, ["old"]),
        (b'{"data":[{"taskUUID":"%s","status":"error","error":{"code":"c","message":"m"}}]}', 0, ["c"]),
        (b'{"data":[{"taskUUID":"%s","imageDataURI":"data:image/png;base64,AAAA"}]}', 1, []),
        (b'{"data":[{"taskUUID":"%s","imageBase64Data":"AA\\/AA+=="}]}', 1, []),
        (b'{"data":[{"taskUUID":"%s","imageURL":"u","seed":"7","cost":"0.03","new":{"field":1}}]}', 1, []),
        (b'{"data":[{"taskUUID":"%s"}],"other":1}', 0, []),
    ],
)
def test_every_shape_of_envelope_seen_is_read(body, images, codes):
    reply = decode(body % UUID.encode(), UUID)
    assert len(reply.images) == images
    assert [fault.code for fault in reply.faults] == codes


@pytest.mark.parametrize("body", [b"", b"<html>", b"null!", b'{"data":7}', b'"text"', b"\xff", b"[[]]"])
def test_nonsense_is_said_to_be_unreadable(body):
    with pytest.raises(UnreadableReplyError):
        decode(body, UUID)


def test_base64_is_a_slice_of_the_answer_and_costs_are_exact():
    body = b'{"data":[{"taskUUID":"%s","imageBase64Data":"QUJD","cost":0.1,"seed":5},{"taskUUID":"%s","imageDataURI":"data:image/png;base64,REVG","cost":0.2}]}'
    one, two = decode(body % (UUID.encode(), UUID.encode()), UUID).images
    assert (bytes(one.base64), bytes(two.base64)) == (b"QUJD", b"REVG")
    assert one.cost + two.cost == Decimal("0.3")
    assert (
        bytes(decode(b'{"data":[{"taskUUID":"%s","imageBase64Data":"AA\\/A"}]}' % UUID.encode(), UUID).images[0].base64)
        == b"AA/A"
    )


@pytest.mark.parametrize(
    ("attempt", "chance", "expected"),
    [(1, 0.0, 0.0), (1, 0.5, 0.25), (2, 0.5, 0.5), (3, 0.5, None)],
)
def test_backoff_doubles_with_full_jitter_and_ends_after_three(attempt, chance, expected):
    assert backoff(RetryPolicy(), ProviderFailure(Kind.CAPACITY, "c", ""), attempt, chance) == expected


def test_backoff_never_repeats_what_is_certain():
    for kind in set(Kind) - {Kind.RATE_LIMIT, Kind.CAPACITY, Kind.TIMEOUT, Kind.PROVIDER}:
        assert backoff(RetryPolicy(), ProviderFailure(kind, "c", ""), 1, 0.5) is None


def test_polling_slows_down_to_its_limit():
    assert [poll_delay(RetryPolicy(), poll) for poll in (1, 2, 3, 10, 120, 121)] == [1.0, 1.5, 2.25, 5.0, 5.0, 60.0]
