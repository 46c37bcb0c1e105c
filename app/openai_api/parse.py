"""From the body of a request, JSON or form, to an ImageRequest: generations and edits meet here.

Null, an empty text and a field's `unset` value are absence. A known field with an illegal value is refused in the
caller's words; a field nobody knows is kept in `passthrough` for the provider. Pure: no input or output.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from app.catalog.modes import Mode
from app.domain.memory import Memory
from app.domain.request import IgnoredField, ImageRequest, InputImage, LinkedImage, UploadedImage
from app.domain.values import replace
from app.domain.words import ImageFormat, JSONValue
from app.errors import InvalidRequestError
from app.images.hashing import ImageHash
from app.openai_api.input_images import FilePart, read_images, read_single
from app.openai_api.readers import Fields, read_field, wrong
from app.openai_api.runware_parameters import Translation, translate_body
from app.openai_api.vocabulary import (
    BY_NAME,
    FIELDS,
    OWN_NAMES,
    PLACES,
    RUNWARE_NAMES,
    UNDER_NATIVE_NAMES,
    Field,
    Kind,
    names_of,
)
from app.planning.capabilities import brings_own_images

_IMAGE_NAMES = frozenset(names_of(Kind.IMAGES))
_SINGLE_NAMES = names_of(Kind.IMAGE)
_READ_FIRST = frozenset({*_IMAGE_NAMES, *names_of(Kind.PROMPT)})
_AS_IT_IS = Translation({})
_CARRIED = frozenset({"prompt", "seed", "safety_identifier", "user"})
"""What differs in each request of a program that asks for the same again and again; each is read by itself."""
_ONLY_PROMPT = frozenset({"prompt"})
_BODIES_KEPT, _LONGEST_REST = 1024, 256
_Said: TypeAlias = tuple[object, ...]
_STREAM_COMES_FIRST = IgnoredField("deliveryMethod", "async", "A stream is sent while it is made.")


class RequestParser:
    """Parses bodies as `parse_request` does, and remembers what short ones say beside what differs in each."""

    def __init__(self, image_hash: ImageHash) -> None:
        self._known = Memory[_Said, ImageRequest](_BODIES_KEPT)
        self._image_hash = image_hash

    def parse(self, mode: Mode, fields: Fields, files: Sequence[FilePart] = ()) -> ImageRequest:
        """As `parse_request`, with the digest of every image that came as bytes."""
        prompt = fields.get("prompt")
        if files or not prompt or not isinstance(prompt, str) or not RUNWARE_NAMES.isdisjoint(fields):
            return self._parse_with_digests(mode, fields, files)
        rest = {**fields}
        carried = {name: rest.pop(name) for name in _CARRIED & rest.keys()}
        # With their types: 1, 1.0 and true are equal, and not all of them are legal.
        said = (mode, *rest, *rest.values(), *map(type, rest.values()))
        try:
            known = self._known.find(said)
        except TypeError:  # lists and objects are read each time
            return self._parse_with_digests(mode, fields)
        if known is None:
            understood = self._parse_with_digests(mode, fields)
            # Images are read each time, however small: their bytes go once they are sent (0208).
            if _is_short(rest) and not _brings_images(understood):
                alike = replace(understood, prompt=None, seed=None, user=None, given=understood.given - _CARRIED)
                self._known.keep(said, alike)
            return understood
        return _with_own(known, carried)

    def _parse_with_digests(self, mode: Mode, fields: Fields, files: Sequence[FilePart] = ()) -> ImageRequest:
        """Parse, and hash images that came as base64. Large bodies are parsed in a thread."""
        understood = parse_request(mode, fields, files)
        if not _brings_images(understood):
            return understood
        images = tuple([self._with_digest(image) for image in understood.images])
        mask, markup = (one and self._with_digest(one) for one in (understood.mask, understood.markup))
        return replace(understood, images=images, mask=mask, markup=markup)

    def _with_digest(self, image: InputImage) -> InputImage:
        """The image with its digest; files of forms have theirs already."""
        if isinstance(image, LinkedImage) or image.digest:
            return image
        return UploadedImage(image.param, image.content, self._image_hash.digest_bytes(image.data))


def _brings_images(understood: ImageRequest) -> bool:
    return bool(understood.images) or understood.mask is not None or understood.markup is not None


def _with_own(known: ImageRequest, carried: Fields) -> ImageRequest:
    """A request that says beside its own what a known one says; only its own can be wrong."""
    prompt, given = _read_prompt(BY_NAME["prompt"], carried), known.given | _ONLY_PROMPT
    if len(carried) == 1:
        return replace(known, prompt=prompt, given=given)
    attributes, _ = _read_fields(carried, (), _AS_IT_IS)
    given |= {name for name, value in carried.items() if value is not None and value != ""}
    return replace(known, prompt=prompt, given=given, **attributes)


def _is_short(rest: Fields) -> bool:
    """Whether a body may be remembered: it may be as long as it likes, and zero has two signs that are equal."""
    texts = [one for one in (*rest, *rest.values()) if isinstance(one, str)]
    is_exact = not any(isinstance(value, float) and not value for value in rest.values())
    return is_exact and sum(map(len, texts)) <= _LONGEST_REST


def parse_request(mode: Mode, fields: Fields, files: Sequence[FilePart] = ()) -> ImageRequest:
    """The request that these fields and files express, raising InvalidRequestError for the first wrong one."""
    # What the caller spelled, to find misspelled names; nulls are an SDK's way of saying nothing.
    given = frozenset([name for name, value in fields.items() if value is not None and value != ""])
    # The usual request has neither files nor any of Runware's names, and pays nothing for them.
    if not files and RUNWARE_NAMES.isdisjoint(fields):
        return _parse(mode, fields, given)
    translation = translate_body(fields, files)
    try:
        return _parse(mode, translation.fields, given.union([part.name for part in files]), files, translation)
    except InvalidRequestError as error:
        raise error.renamed(translation.names) from None


def _parse(
    mode: Mode,
    fields: Fields,
    given: frozenset[str],
    files: Sequence[FilePart] = (),
    translation: Translation = _AS_IT_IS,
) -> ImageRequest:
    prompt = _read_prompt(BY_NAME["prompt"], fields)
    images: tuple[InputImage, ...] = ()
    if files or translation.images or not _IMAGE_NAMES.isdisjoint(fields):
        images = read_images({**fields, **translation.images}, files, (*translation.images,))
    # Before the other fields: what is missing altogether matters more than a wrong value of what is there.
    if mode is Mode.EDIT and not images and not brings_own_images(fields):
        message = "`image` is missing: send the image to edit as a file, an address, a data URI or base64."
        raise InvalidRequestError(message, param="image", code="missing_required_parameter")
    attributes, parameters = _read_fields(fields, files, translation)
    stream_wins = translation.in_background and "stream" in attributes
    return ImageRequest(
        mode=mode,
        prompt=prompt,
        images=images,
        parameters=tuple(parameters.items()),
        passthrough={name: value for name, value in fields.items() if name not in OWN_NAMES and value is not None},
        mask_is_native=bool(translation.masks) or any(part.name == "maskImage" for part in files),
        in_background=translation.in_background and not stream_wins,
        names=translation.names,
        ignored=(*translation.ignored, _STREAM_COMES_FIRST) if stream_wins else translation.ignored,
        given=given,
        **attributes,
    )


def _read_prompt(field: Field, fields: Fields) -> str | None:
    """A prompt as it was written: spaces around it may matter to a model, and whether it is empty is judged later."""
    value = fields.get(field.name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise wrong(field.name, "text", value)
    if len(value) > field.high:
        message = f"`{field.name}` is too long: {len(value)} characters; no model takes more than {field.high}."
        raise InvalidRequestError(message, param=field.name, code="string_above_max_length")
    # Browsers send forms with CRLF: the same prompt by form and by JSON is the same request.
    return value.replace("\r\n", "\n")


def _read_fields(
    fields: Fields, files: Sequence[FilePart], translation: Translation
) -> tuple[dict[str, Any], dict[str, JSONValue]]:
    """What the fields that are there say: attributes of the request, and parameters."""
    # Untyped, as the vocabulary names the attributes; a test holds these to what ImageRequest takes.
    attributes: dict[str, Any] = {} if translation.delivery is None else {"delivery": translation.delivery}
    parameters: dict[str, JSONValue] = {}
    for field in _fields_in(fields, translation, has_files=bool(files)):
        if field.attribute in attributes:  # another field has said it already
            continue
        is_image = field.kind is Kind.IMAGE
        value: Any = (
            read_single(field.name, fields, files, translation.masks) if is_image else read_field(field, fields)
        )
        if value is None or value == field.unset:
            continue
        if field.attribute == "parameters":
            parameters[field.name] = value
        else:
            attributes[field.attribute] = value
        # At once, so that errors come in the order of the fields.
        if field.name == "background":
            _check_transparency(attributes)
    return attributes, parameters


def _fields_in(fields: Fields, translation: Translation, *, has_files: bool) -> list[Field]:
    """The fields of a body in the order of the vocabulary, each with the bounds of the name it was given under."""
    places = {PLACES[name] for name in fields if name in PLACES and name not in _READ_FIRST}
    if has_files or translation.masks:
        places |= {PLACES[name] for name in _SINGLE_NAMES}
    found = [FIELDS[place] for place in sorted(places)]
    if not translation.names:
        return found
    return [UNDER_NATIVE_NAMES.get(one.name, one) if one.name in translation.names else one for one in found]


def _check_transparency(attributes: Mapping[str, object]) -> None:
    if attributes["background"] == "transparent" and attributes.get("format") is ImageFormat.JPEG:
        message = "A transparent background needs output_format png, webp, gif or avif; jpeg has no transparency."
        raise InvalidRequestError(message, param="background")
