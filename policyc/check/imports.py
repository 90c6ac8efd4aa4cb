"""Imports: the files that a policy names, and one file made of what they and it declare.

After this stage the checker has one list of definitions, in which every name is unique. A
file sees what it declares and what it imports itself, so each file's expressions are given
the unique names of the definitions that it sees.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from policyc.check.declarations import check_name, is_reserved
from policyc.check.literals import suggest
from policyc.check.renaming import Rename, renamed
from policyc.diagnostics.model import Diagnostics, Label
from policyc.hooks.loader import attributes
from policyc.source import Span
from policyc.syntax import tree as t
from policyc.syntax.parser import MAX_BYTES, decode, parse

__all__ = ["Linked", "Read", "link", "read_file"]

#: What gives the bytes of a file by its path; OSError or ValueError if it cannot.
Read: TypeAlias = Callable[[str], bytes]

_MOST_NESTED = 50
_MOST_CHARACTERS = 60
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")

_Declaration: TypeAlias = t.SetItem | t.ParamItem | t.LetItem


@dataclass(frozen=True, slots=True)
class Linked:
    """A policy with everything that it imports.

    `file` has the definitions of all files in front of its own items. `imported` says for
    each definition of another file by which import of the policy it came; `files` are the
    other files. `brought` has the places of the imports, and for each the definitions that
    the policy can name by it. `written` says how the policy writes a name of the plan, if it
    can. `broken` are names whose import failed.
    """

    file: t.PolicyFile
    imported: dict[str, Span] = field(default_factory=dict[str, Span])
    files: tuple[str, ...] = ()
    brought: tuple[tuple[Span, tuple[str, ...]], ...] = ()
    written: dict[str, str] = field(default_factory=dict[str, str])
    broken: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class _Definition:
    item: _Declaration
    unique_name: str = ""


@dataclass(slots=True, eq=False)
class _Module:
    """A file.

    `names` are what it sees, `seen` where that is written, `missing` what could not be
    imported; with `lacks_some` nobody knows what that is. `others` are the files it imports.
    """

    key: str
    file: t.PolicyFile
    own: dict[str, _Definition] = field(default_factory=dict[str, _Definition])
    names: dict[str, _Definition] = field(default_factory=dict[str, _Definition])
    seen: dict[str, Span] = field(default_factory=dict[str, Span])
    missing: set[str] = field(default_factory=set[str])
    others: list[tuple[t.ImportItem, _Module]] = field(
        default_factory=list["tuple[t.ImportItem, _Module]"]
    )
    lacks_some: bool = False


def read_file(path: str) -> bytes:
    """The bytes of a regular file, and no more than show that it is too large."""
    with open(path, "rb", opener=_opened) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(0, "It is not a regular file")
        return stream.read(MAX_BYTES + 1)


def _opened(path: str, flags: int) -> int:
    """Without waiting for the other end of a pipe."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def link(file: t.PolicyFile, diagnostics: Diagnostics, read: Read | None) -> Linked:
    """The policy with what it imports; every mistake in imports and other files is reported."""
    if not any(isinstance(item, t.ImportItem) for item in file.items):
        return Linked(file)
    return _Linker(diagnostics, read or read_file).link(file)


class _Linker:
    def __init__(self, diagnostics: Diagnostics, read: Read) -> None:
        self.diagnostics = diagnostics
        self.read = read
        self.root: _Module | None = None
        self.modules: dict[str, _Module | None] = {}
        self.loading: list[tuple[str, t.ImportItem | None]] = []
        self.broken: set[str] = set()

    def link(self, file: t.PolicyFile) -> Linked:
        """The whole policy."""
        key = os.path.realpath(file.source.name)
        self.loading.append((key, None))
        root = self.root = self._module(key, file)
        imported = self._name_all(root)
        items: list[t.Item] = []
        others = [module for module in self.modules.values() if module is not None]
        for module in others:
            items += self._definitions(module)
        rename = self._renamer(root)
        items += [renamed(item, rename) for item in file.items if not _is_import(item)]
        files = tuple(module.file.source.name for module in others)
        return Linked(
            replace(file, items=tuple(items)),
            imported,
            files,
            tuple(self._brought(root)),
            {definition.unique_name: name for name, definition in root.names.items()},
            frozenset(self.broken),
        )

    # -- files

    def _module(self, key: str, file: t.PolicyFile) -> _Module:
        module = _Module(key, file)
        for item in file.items:
            if isinstance(item, t.SetItem | t.ParamItem | t.LetItem):
                definition = module.own.setdefault(item.name.text, _Definition(item))
                module.names[item.name.text] = definition
                module.seen.setdefault(item.name.text, item.name.span)
        first: dict[str, t.ImportItem] = {}
        for item in file.items:
            if isinstance(item, t.ImportItem):
                self._import(item, module, first)
        return module

    def _import(self, item: t.ImportItem, module: _Module, first: dict[str, t.ImportItem]) -> None:
        other = self._load(item, module)
        if other is not None and other.key in first:
            self._report(
                "PC0215",
                f"{item.path.span.text} is imported twice",
                item.path.span,
                related=(Label(first[other.key].path.span, "imported here first"),),
                help="make one import of them",
            )
        elif other is not None:
            first[other.key] = item
            module.others.append((item, other))
        if item.names is not None:
            self._listed(item.names, module, other)
        elif item.alias is not None:
            self._under_alias(item.alias, module, other)
        elif other is None:
            module.lacks_some = True
        else:
            for name, definition in other.own.items():
                self._bring(name, definition, module, item.path.span)

    def _listed(self, names: tuple[t.Name, ...], module: _Module, other: _Module | None) -> None:
        for name in names:
            if other is None:
                module.missing.add(name.text)
            elif name.text in other.own:
                self._bring(name.text, other.own[name.text], module, name.span)
            else:
                module.missing.add(name.text)
                self._report(
                    "PC0216",
                    f"{other.file.source.name} does not declare `{name.text}`",
                    name.span,
                    help=suggest(name.text, other.own)
                    or "an import brings what the file itself declares: sets, params and lets",
                )

    def _under_alias(self, alias: t.Name, module: _Module, other: _Module | None) -> None:
        is_attribute = any(name.startswith(f"{alias.text}.") for name in attributes())
        if is_attribute:
            self._report(
                "PC0203",
                f"an import cannot be called `{alias.text}`: there are attributes below that",
                alias.span,
                help="choose another name",
            )
        if is_attribute or not check_name(alias, "import", self.diagnostics):
            return
        if alias.text in module.seen:
            self._clash(alias.text, alias.span, module.seen[alias.text])
        module.seen.setdefault(alias.text, alias.span)
        if other is None:
            module.missing.add(f"{alias.text}.")
            return
        for name, definition in other.own.items():
            self._bring(f"{alias.text}.{name}", definition, module, alias.span)

    def _bring(self, name: str, definition: _Definition, module: _Module, span: Span) -> None:
        known = module.names.setdefault(name, definition)
        if known is not definition:
            self._clash(name, span, module.seen[name], known.item.name.span)
        module.seen.setdefault(name, span)

    def _clash(self, name: str, span: Span, first: Span, declared: Span | None = None) -> None:
        related = [Label(first, "it is this already")]
        if declared is not None and declared != first:
            related.append(Label(declared, "which is declared here"))
        self._report(
            "PC0202",
            f"`{name}` is declared twice: by this import too",
            span,
            "it is this as well",
            related=tuple(related),
            help='list the names that you want, or write `import "..." as NAME;`',
        )

    def _load(self, item: t.ImportItem, importer: _Module) -> _Module | None:
        """The file that an import names, None (reported) if it is of no use."""
        path = self._path(item, importer)
        if path is None:
            return None
        key = os.path.realpath(path)
        if any(key == loading for loading, _ in self.loading):
            self._circle(key, item)
            return None
        if key in self.modules:
            return self.modules[key]
        if len(self.loading) > _MOST_NESTED:
            self._unreadable(item, f"imports are nested more than {_MOST_NESTED} files deep")
            return None
        data = self._bytes(path, item)
        if data is None:
            return None
        source = decode(data, path, self.diagnostics)
        file = parse(source, self.diagnostics) if source is not None else None
        self.modules[key] = None
        if file is None:
            return None
        self.loading.append((key, item))
        module = self._module(key, file)
        self.loading.pop()
        del self.modules[key]  # what it imports comes before it
        self.modules[key] = module
        return module

    def _path(self, item: t.ImportItem, importer: _Module) -> str | None:
        written = item.path.value.decode("utf-8", "surrogateescape")
        if not written or "\0" in written:
            self._unreadable(item, "that is no name of a file")
            return None
        if written.startswith("/"):
            self._unreadable(item, "imports are relative to the file that they stand in")
            return None
        directory = os.path.dirname(importer.file.source.name)  # noqa: PTH120 - a name as given
        return os.path.normpath(os.path.join(directory, written))  # noqa: PTH118

    def _bytes(self, path: str, item: t.ImportItem) -> bytes | None:
        try:
            return self.read(path)
        except (OSError, ValueError) as error:
            why = (isinstance(error, OSError) and error.strerror) or str(error)
            self._unreadable(item, f"{path}: {why[:1].lower()}{why[1:]}")
            return None

    def _unreadable(self, item: t.ImportItem, why: str) -> None:
        self._report(
            "PC0213",
            f"cannot import {item.path.span.text}: {why}",
            item.path.span,
            help="the path starts at the directory of the file that imports",
        )

    def _circle(self, key: str, item: t.ImportItem) -> None:
        place = next(i for i, (loading, _) in enumerate(self.loading) if loading == key)
        way = [step for _, step in self.loading[place + 1 :] if step is not None]
        self._report(
            "PC0214",
            f"importing {item.path.span.text} goes in a circle"
            if way
            else "the file imports itself",
            item.path.span,
            "this closes the circle",
            related=tuple(Label(step.path.span, "which is imported here") for step in way),
            help="move what both need into a file of its own",
        )

    def _report(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        *,
        related: tuple[Label, ...] = (),
        help: str,
    ) -> None:
        self.diagnostics.add(code, message, span, label, related=related, help=help)

    # -- names

    def _name_all(self, root: _Module) -> dict[str, Span]:
        """Give every definition its name in the plan; which import each one came by."""
        taken: set[str] = set()
        for name, definition in root.names.items():
            if "." not in name:
                definition.unique_name = name
                taken.add(name)
        by_import: dict[str, Span] = {}
        for name, definition in root.names.items():
            if not definition.unique_name:
                definition.unique_name = _free(name, taken)
        for module in self.modules.values():
            for name, definition in module.own.items() if module is not None else ():
                if not definition.unique_name:
                    stem = Path(module.file.source.name).stem if module is not None else ""
                    definition.unique_name = _free(f"{stem}_{name}", taken)
        for item, reached in self._reached(root):
            for definition in reached:
                by_import.setdefault(definition.unique_name, item.path.span)
        return by_import

    def _reached(self, root: _Module) -> Iterator[tuple[t.ImportItem, list[_Definition]]]:
        """The imports of the policy with all that each of them brings, by other files too."""
        for item, first in root.others:
            reached: list[_Definition] = []
            pending, seen = [first], set[str]()
            while pending:
                module = pending.pop()
                if module.key not in seen:
                    seen.add(module.key)
                    reached += module.own.values()
                    pending += [other for _, other in module.others]
            yield item, reached

    def _brought(self, root: _Module) -> Iterator[tuple[Span, tuple[str, ...]]]:
        for item, other in root.others:
            if item.names is None:
                names = tuple(definition.unique_name for definition in other.own.values())
                yield item.path.span, names
                continue
            for name in item.names:
                if name.text in other.own:
                    yield name.span, (other.own[name.text].unique_name,)

    def _definitions(self, module: _Module) -> Iterator[t.Item]:
        """The declarations of another file with their names in the plan."""
        rename = self._renamer(module)
        for item in module.file.items:
            if not isinstance(item, t.SetItem | t.ParamItem | t.LetItem):
                continue
            unique_name = module.own[item.name.text].unique_name
            if unique_name != item.name.text and not check_name(
                item.name, "definition", self.diagnostics
            ):
                continue
            changed = renamed(item, rename)
            assert isinstance(changed, t.SetItem | t.ParamItem | t.LetItem)
            yield replace(changed, name=t.Name(unique_name, item.name.span))

    def _renamer(self, module: _Module) -> Rename:
        modules = [other for other in (self.root, *self.modules.values()) if other is not None]
        everything = {
            definition.unique_name for other in modules for definition in other.own.values()
        }

        def rename(text: str, span: Span) -> str:
            if text in module.names:
                return module.names[text].unique_name
            alias = text.partition(".")[0] + "."
            failed = text in module.missing or alias in module.missing
            if failed or (module.lacks_some and not is_reserved(text)):
                self.broken.add(text)
            elif text in everything:
                self._report(
                    "PC0201",
                    f"nothing is called `{text}` here",
                    span,
                    "neither declared nor imported in this file",
                    help="import it in this file",
                )
                self.broken.add("")
                return ""
            return text

        return rename


def _is_import(item: t.Item) -> bool:
    return isinstance(item, t.ImportItem)


def _free(name: str, taken: set[str]) -> str:
    """A name for the plan that nothing else has."""
    base = _NOT_IN_NAMES.sub("_", name)[:_MOST_CHARACTERS]
    if base[0].isdigit():
        base = f"_{base[1:]}"
    candidate, number = base, 1
    while candidate in taken or is_reserved(candidate):
        number += 1
        candidate = f"{base}_{number}"
    taken.add(candidate)
    return candidate
