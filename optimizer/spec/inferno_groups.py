"""Finding the groups of an inferno system in one document, or in the files of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path as FilePath

from optimizer.errors import Fault, SpecError
from optimizer.spec.document import Document, parse
from optimizer.spec.inferno_reader import Ledger, Page, Record
from optimizer.spec.source_text import read_text, refuse
from optimizer.spec.wording import kind_of, listed

__all__ = ["System", "folder_has_groups", "has_groups", "system_of_document", "system_of_folder"]

# Groups of a system, and what a file that holds one of them alone begins with.
_MEMBERS = {
    "acceleratorData": "accelerators",
    "modelData": "models",
    "serviceClassData": "serviceClasses",
    "serverData": "servers",
    "optimizerData": "optimizer",
    "capacityData": "count",
}
# Keys of published documents that a fleet has no use for.
_COMMENTS = ("source", "units", "note", "solutionData", "allocations")
_REQUIRED = ("acceleratorData", "modelData", "serviceClassData", "serverData")


@dataclass(frozen=True, slots=True)
class System:
    """The groups of a system, from as many documents as hold them.

    Parameters
    ----------
    pages
        Documents that were read.
    ledger
        Where remarks go.
    roots
        The whole of each document.
    groups
        Every group by name; an empty one stands for an optional one that is missing.
    """

    pages: tuple[Page, ...]
    ledger: Ledger
    roots: tuple[Record, ...]
    groups: Mapping[str, Record]


def has_groups(data: object) -> bool:
    """Whether data look like an inferno system: a group at the top, or within `system`."""
    top = _folded(data)
    groups = {name.casefold() for name in _MEMBERS}
    return not groups.isdisjoint(top) or not groups.isdisjoint(_folded(top.get("system")))


def system_of_document(document: Document) -> System:
    """Find the groups in one document.

    Raises
    ------
    SpecError
        If it holds no group.
    """
    page, ledger = Page(document), Ledger()
    if not has_groups(document.data):
        refuse(
            document.source,
            f"is {kind_of(document.data)} without the groups of an inferno system: must be "
            f'{{"system": {{...}}}}, or have at its top some of: {listed(_MEMBERS)}',
            hint="a fleet of this product's own format needs no import",
        )
    root = Record(page, ledger, (), document.data if isinstance(document.data, Mapping) else {})
    within = root.record("system") if "system" in _folded(document.data) else root
    groups = {name: within.record(name) for name in _MEMBERS}
    root.pass_over(*_COMMENTS)
    return System((page,), ledger, (root,), groups)


def system_of_folder(folder: FilePath) -> System:
    """Find the groups in the `.json` files of a folder, each by what it holds.

    A file holds a group alone, as `{"servers": [...]}`, or groups by name, as `{"serverData":
    {"servers": [...]}}`, with or without `system` around them.

    Raises
    ------
    SpecError
        If files cannot be read, a group stands in two files, or one that is needed in none.
    """
    ledger = Ledger()
    documents, faults = _parsed(_json_files(folder))
    roots, homes = [], {name: list[Record]() for name in _MEMBERS}
    for document in documents:
        members = document.data if isinstance(document.data, Mapping) else {}
        root = Record(Page(document), ledger, (), members)
        held = _groups_of_file(root)
        if held:
            roots.append(root)
        else:
            text = "files without a group of an inferno system: not carried over"
            ledger.note(text, FilePath(document.source).name)
        for name, record in held.items():
            homes[name].append(record)
    if not faults:  # a group may be in a file that could not be read
        faults.extend(_faults_of_homes(str(folder), homes))
    if faults:
        raise SpecError([*chain.from_iterable(root.page.faults() for root in roots), *faults])
    nothing = Record(roots[0].page, ledger, (), {})
    groups = {name: held[0] if held else nothing for name, held in homes.items()}
    return System(tuple(root.page for root in roots), ledger, tuple(roots), groups)


def folder_has_groups(folder: FilePath) -> bool:
    """Whether some readable `.json` file of a folder holds a group of an inferno system."""
    documents, _ = _parsed(_json_files(folder))
    return any(
        _groups_of_file(Record(Page(document), Ledger(), (), document.data))
        for document in documents
        if isinstance(document.data, Mapping)
    )


def _parsed(files: Iterable[FilePath]) -> tuple[list[Document], list[Fault]]:
    """Parse files, and collect the faults of those that cannot be."""
    documents: list[Document] = []
    faults: list[Fault] = []
    for path in files:
        try:
            documents.append(parse(read_text(path), "json"))
        except SpecError as error:
            faults.extend(error.faults)
    return documents, faults


def _folded(data: object) -> dict[str, object]:
    """Keys of an object in lower case; of anything else none."""
    members = data.items() if isinstance(data, Mapping) else ()
    return {str(key).casefold(): value for key, value in members}


def _json_files(folder: FilePath) -> list[FilePath]:
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".json")
    except OSError as error:
        refuse(str(folder), f"cannot be read: {error.strerror or error}", hint="check the path")
    if not files:
        hint = "e.g. accelerator-data.json, model-data.json, serviceclass-data.json, ..."
        refuse(str(folder), "holds no .json file: must hold the groups' files", hint=hint)
    return files


def _groups_of_file(root: Record) -> dict[str, Record]:
    data = root.page.document.data
    if has_groups(data):
        within = root.record("system") if "system" in _folded(data) else root
        return {name: within.record(name) for name in _MEMBERS if within.has(name)}
    return {name: root for name, member in _MEMBERS.items() if root.has(member)}


def _faults_of_homes(folder: str, homes: Mapping[str, list[Record]]) -> Iterator[Fault]:
    for name, held in homes.items():
        if len(held) > 1:
            files = listed(record.page.document.source for record in held)
            yield Fault(
                f"stands in several files: must stand in one: {files}",
                path=name,
                hint="remove or rename all but one of them",
                source=folder,
            )
        if not held and name in _REQUIRED:
            yield Fault(
                "is missing: no file holds it",
                path=name,
                hint=f'add a file {{"{_MEMBERS[name]}": [...]}}',
                source=folder,
            )
