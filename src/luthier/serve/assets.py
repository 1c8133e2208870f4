"""The files of the pages, as they lie in this package: nothing else can be asked for."""

from __future__ import annotations

from functools import cache
from importlib import resources

from fastapi.responses import Response

from luthier.serve.refusals import Refusal

KINDS = {".css": "text/css", ".js": "text/javascript"}
"""What is served under /static/, and as what."""


@cache
def asset_names() -> frozenset[str]:
    """The names under /static/: every style and script that lies there."""
    names = (file.name for file in resources.files("luthier.serve").joinpath("static").iterdir())
    return frozenset(name for name in names if name.endswith(tuple(KINDS)))


@cache
def asset(name: str) -> str:
    """The text of one of our own files. A name that a client gave must be looked up in `asset_names` first."""
    return resources.files("luthier.serve").joinpath("static", name).read_text(encoding="utf-8")


def asset_response(name: str) -> Response:
    """The style or script of this name; Refusal with status 404 where there is none."""
    if name not in asset_names():
        raise Refusal("there is no such file", status=404)
    return Response(asset(name), media_type=KINDS[name[name.rindex(".") :]])
