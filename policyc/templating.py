"""The one Jinja environment: undefined names are errors, text is never escaped for HTML."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from policyc.resources import resource_path

__all__ = ["environment", "render"]


@cache
def environment() -> Environment:
    """The environment that finds the skeletons below templates/."""
    return Environment(
        loader=FileSystemLoader(resource_path("templates")),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(template: str, **values: object) -> str:
    """The text of one template."""
    return environment().get_template(template).render(**values)
