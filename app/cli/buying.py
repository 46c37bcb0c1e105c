"""The commands that buy images of a running gateway: generate, edit and collect.

They speak the public API like any other client; of the gateway they share the names of its fields alone. What is asked
for is judged in `order`, waited for in `making`, and written in `answers`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.answers import Delivery
from app.cli.exits import ExitCode
from app.cli.gateway import open_session
from app.cli.options import ApiKey, AsJson, BaseUrl, BuyOptions, Force, Output, with_options
from app.cli.order import Order, edit_order, generate_order
from app.cli.tables import print_json
from app.cli.targets import choose_target, refuse_other_formats, try_target


@with_options
def generate(prompt: Annotated[str, typer.Argument(help="What the image shows.")], options: BuyOptions) -> None:
    """Make images from text."""
    _buy(generate_order(prompt, options), options)


@with_options
def edit(
    images: Annotated[list[str], typer.Argument(help="Files or addresses of images; - reads one from standard input.")],
    prompt: Annotated[str, typer.Option(help="How to change them.")],
    options: BuyOptions,
    mask: Annotated[
        str | None, typer.Option(help="A file or an address, transparent where to edit; - for standard input.")
    ] = None,
) -> None:
    """Change images as the prompt says."""
    _buy(edit_order(images, prompt, mask, options), options)


def collect(
    request_id: Annotated[str, typer.Argument(help="The id of the request, req_….")],
    output: Output = None,
    force: Force = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Get the images of a request of before: nothing is bought."""
    target = choose_target(output, None, force=force)
    try_target(target)
    with open_session(base_url, api_key) as session:
        delivery = Delivery(session, target, as_json=as_json)
        answer = session.collect(request_id)
        # What exists is in one format already: a file that says another one would be a mistake of its name.
        refuse_other_formats(
            target, (str(one.get("output_format") or answer["output_format"]) for one in answer["data"])
        )
        delivery.take(answer)
        delivery.end()


def _buy(order: Order, options: BuyOptions) -> None:
    target = choose_target(options.output, order.format, force=options.force, count=order.count)
    order = order.asking(target.format)
    if options.dry_run:
        _estimate(order, options)
        return
    # Before anything is bought: a full disk or a wrong folder should cost nothing.
    try_target(target)
    with open_session(options.base_url, options.api_key) as session:
        from app.cli.making import Making

        delivery = Delivery(session, target, as_json=options.as_json, inline=options.inline, opens=options.open_)
        making = Making(session, order.to_purchase(), order.count)
        for item in making.items(streamed=order.stream):
            delivery.take(item)
        delivery.end(making.seconds)
    if delivery.failures:
        raise typer.Exit(ExitCode.OTHER)


def _estimate(order: Order, options: BuyOptions) -> None:
    from app.cli.estimates import show_estimate

    with open_session(options.base_url, options.api_key) as session:
        found = session.estimate(order.to_purchase())
    if options.as_json:
        print_json(found)
        return
    show_estimate(found)
