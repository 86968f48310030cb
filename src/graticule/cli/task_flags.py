"""A flag for every setting of a task, with its help: made from the fields and the docstring of the task's dataclass."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from cyclopts import App, Group, Parameter

from graticule.settings import descriptions

Command = Callable[..., Any]

CHOSEN = ("thresholds", "threshold")
"""Settings that every training chooses on what it holds out: to give them would change nothing."""


def app_of_kinds(
    name: str, summary: str, command: Command, kinds: Mapping[str, type[Any]], without: Sequence[str] = ()
) -> App:
    """An app with one sub-command per kind: `command` with the kind's flags, but for the fields `without`."""
    app = App(name=name, help=summary)
    for kind_name, kind in kinds.items():
        text = f"{about(kind)}\n\n{_without_parameters(command)}"
        app.command(with_flags(command, kind, without), name=kind_name, help=text)
    return app


def about(kind: type[Any]) -> str:
    """The first sentence of the file that a kind is described in."""
    return (sys.modules[kind.__module__].__doc__ or "").partition("\n\n")[0].replace("\n", " ")


def _without_parameters(command: Command) -> str:
    return inspect.cleandoc(command.__doc__ or "").partition("Parameters\n---")[0]


def with_flags(command: Command, kind: type[Any], without: Sequence[str] = ()) -> Command:
    """`command` with a flag for each field of the dataclass `kind` in place of its parameters `kind` and `settings`.

    `settings` is what the user gave, and nothing else.
    """
    own = [p for p in _signature(command).parameters.values() if p.name not in ("kind", "settings")]
    flags = [flag for flag in _flags(kind) if flag.name not in without]
    clash = {p.name for p in own} & {p.name for p in flags}
    assert not clash, f"settings {clash} are also parameters of {command.__name__}"

    def with_settings(*words: Any, **given: Any) -> Any:
        settings = {p.name: given.pop(p.name) for p in flags if p.name in given}
        chosen = {name: value for name, value in settings.items() if value is not None}
        return command(*words, kind=kind, settings=chosen, **given)

    every = [*own, *flags]
    with_settings.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
    with_settings.__annotations__ = {p.name: p.annotation for p in every}
    with_settings.__doc__ = command.__doc__
    return with_settings


def _signature(command: Command) -> inspect.Signature:
    signature, hints = inspect.signature(command), get_type_hints(command, include_extras=True)
    parameters = [p.replace(annotation=hints.get(p.name, p.annotation)) for p in signature.parameters.values()]
    return signature.replace(parameters=parameters)


def _flags(kind: type[Any]) -> list[inspect.Parameter]:
    hints, help_for = get_type_hints(kind), descriptions(kind)
    group = Group("Settings", sort_key=40)
    simple = [f for f in fields(kind) if _is_simple(hints[f.name])]
    return [_flag(f, hints[f.name], help_for.get(f.name, ""), group) for f in simple]


def _flag(field: Field[Any], hint: Any, help_: str, group: Group) -> inspect.Parameter:
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    about = Parameter(
        group=group,
        help=help_,
        show_default=_shown(default),
        consume_multiple=get_origin(hint) is tuple,
        negative=None if hint is bool else (),
    )
    # The default is None, so that what the user gave can be told from what the field would have been anyway.
    annotation = Annotated[hint | None, about]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _is_simple(hint: Any) -> bool:
    """Numbers, words, yes and no, choices, and rows of them: what fits on a command line."""
    return all(get_origin(part) is not tuple and not isinstance(part, Mapping) for part in get_args(hint))


def _shown(default: Any) -> str | bool:
    if default is MISSING or default == ():
        return False
    return " ".join(map(str, default)) if isinstance(default, tuple) else str(default)
