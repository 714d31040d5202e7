"""The sources file: a list of sources and their options, read with messages that name line and key."""

from __future__ import annotations

import difflib
import os
import re
from typing import TYPE_CHECKING, Any

from connectors.errors import UsageError
from connectors.settings import DocumentsSource, FeedSource, GitSource, SitemapSource, WebsiteSource
from connectors.sources.documents import local_path
from connectors.sources.documents_remote import check_address as check_documents
from connectors.sources.git_place import check_address as check_git

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import yaml
    from pydantic import ValidationError

    from connectors.settings import AnySource, SourceOptions

KINDS: dict[str, type[AnySource]] = {
    "website": WebsiteSource,
    "documents": DocumentsSource,
    "feed": FeedSource,
    "sitemap": SitemapSource,
    "git": GitSource,
}
_SWITCHES = {"no-prompts": "prompts", "no-review": "review"}  # as on the command line
_LISTS = ("include", "exclude", "header", "select", "remove")
"""What may be one value or a list of them."""
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def load_catalogue(
    path: Path, environment: Mapping[str, str] | None = None, *, with_places: bool = False
) -> list[AnySource]:
    """Read a sources file.

    ``${NAME}`` may stand in header values only. It is checked here and stays as it is: what it stands for is put in
    where the request is made, so that no secret gets into a flow parameter or the ledger.

    Args:
        path: the file; YAML as described by ``docs/sources.schema.json``.
        environment: where ``${NAME}`` is looked up; the process's own when absent.
        with_places: a folder or repository that is not there is a mistake too. A sync leaves that to the source's own
            run: what is not mounted tonight must not keep the others from theirs.

    Returns:
        The sources in the file's order, each with a name of its own.

    Raises:
        UsageError: every mistake in the file, one a line: ``sources.yaml:12: …``.
    """
    reader = _Reader(path, os.environ if environment is None else environment, with_places=with_places)
    sources = reader.sources()
    if reader.mistakes:
        raise UsageError("\n".join(f"{path.name}:{line}: {told}" for line, told in sorted(reader.mistakes)))
    return sources


def _allowed_keys(model: type[SourceOptions]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


class _Reader:
    """One reading of the file: collects every mistake before it gives up."""

    def __init__(self, path: Path, environment: Mapping[str, str], *, with_places: bool) -> None:
        self.path = path
        self.environment = environment
        self.with_places = with_places
        self.mistakes: list[tuple[int, str]] = []
        self._names: dict[str, int] = {}

    def sources(self) -> list[AnySource]:
        return [source for entry in self._entries() if (source := self._source(entry)) is not None]

    def _once(self, entry: yaml.MappingNode, named: yaml.Node) -> None:
        """Refuse a name that another entry has, whatever else is wrong with either."""
        name = str(named.value)[:100]
        if name in self._names:
            self._wrong(entry, f"the name {name!r} is taken by the entry in line {self._names[name]}")
        self._names.setdefault(name, entry.start_mark.line + 1)

    def _entries(self) -> Iterator[yaml.MappingNode]:
        import yaml

        root = self._compose()
        pairs = self._pairs(root) if isinstance(root, yaml.MappingNode) else {}
        listed = pairs.get("sources")
        for key, value in pairs.items():
            if key != "sources":
                self._wrong(value, f"{key!r} is no key here; the file has one, 'sources'")
        if not isinstance(listed, yaml.SequenceNode):
            at = listed or root
            self._wrong(at, "the file must have a list under 'sources:', like '- website: https://docs.example.com/'")
            return
        for item in listed.value:
            if isinstance(item, yaml.MappingNode):
                yield item
            else:
                self._wrong(item, f"an entry must have a key: one of {', '.join(KINDS)}")

    def _compose(self) -> yaml.Node | None:
        import yaml

        try:
            text = self.path.read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError(f"The sources file {self.path} cannot be read ({error.strerror}).") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"The sources file {self.path} is no UTF-8 text.") from error
        try:
            return yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            raise UsageError(f"{self.path.name}:{line}: this is no YAML: {error.problem or error.context}") from error
        except yaml.YAMLError as error:
            raise UsageError(f"{self.path.name}:1: this is no YAML: {' '.join(str(error).split())}") from error

    def _pairs(self, node: yaml.MappingNode) -> dict[str, yaml.Node]:
        pairs: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if key.value in pairs:
                self._wrong(key, f"{key.value!r} stands twice")
            pairs[str(key.value)] = value
        return pairs

    def _source(self, node: yaml.MappingNode) -> AnySource | None:
        pairs = self._pairs(node)
        kinds = [key for key in pairs if key in KINDS]
        if len(kinds) != 1:
            wrong = f"{' and '.join(kinds)} in one entry" if kinds else "an entry without an address"
            self._wrong(node, f"{wrong}: it needs exactly one of {', '.join(KINDS)}")
            return None
        model = KINDS[kinds[0]]
        self._once(node, pairs.get("name", pairs[kinds[0]]))
        before = len(self.mistakes)
        values = {key: self._value(key, value) for key, value in pairs.items() if self._may_stand(key, value, model)}
        for switch, name in _SWITCHES.items():
            if switch in values:
                off = values.pop(switch)
                values[name] = not off if isinstance(off, bool) else off
        source = self._build(model, values, node, pairs)
        return source if len(self.mistakes) == before else None

    def _build(
        self, model: type[AnySource], values: dict[str, Any], node: yaml.MappingNode, pairs: dict[str, yaml.Node]
    ) -> AnySource | None:
        from pydantic import ValidationError

        try:
            source = model.model_validate(values)
        except ValidationError as error:
            for key, sentence in _sentences(error):
                self._wrong(pairs.get(key, node), sentence)
            return None
        kind = next(name for name, candidate in KINDS.items() if candidate is model)
        changed = {} if source.name else {"name": str(values[kind])[:100]}
        source = source.model_copy(update=changed | self._located(kind, str(values[kind])))
        self._reachable(source, kind, pairs[kind])
        return source

    def _reachable(self, source: AnySource, kind: str, node: yaml.Node) -> None:
        """Refuse an address of a kind that is never read, and if asked to a place that is not there."""
        where = str(getattr(source, kind))
        try:
            if kind == "git":
                check_git(where, there=self.with_places)
            elif kind == "documents" and "://" in where and not where.startswith("file://"):
                check_documents(where)
            elif kind == "documents" and self.with_places and not local_path(where).exists():
                self._wrong(node, f"documents: there is nothing at {where}")
        except UsageError as error:
            self._wrong(node, f"{kind}: {error}".rstrip("."))

    def _located(self, kind: str, where: str) -> dict[str, str]:
        """Read a relative path from the file's own folder: a worker's current directory is another one."""
        relative = kind == "documents" and "://" not in where and not where.startswith(("/", "~"))
        if relative or (kind == "git" and where.startswith(("./", "../"))):
            return {kind: os.path.normpath(self.path.parent.resolve() / where)}
        return {}

    def _value(self, key: str, node: yaml.Node) -> Any:
        import yaml

        loader = yaml.SafeLoader("")
        try:
            value = loader.construct_document(node)
        except yaml.YAMLError:
            return None
        finally:
            loader.dispose()
        if key in _LISTS and isinstance(value, str):
            return (value,)
        return str(value) if key == "name" and isinstance(value, int | float) else value

    def _may_stand(self, key: str, value: yaml.Node, model: type[SourceOptions]) -> bool:
        allowed = [*_allowed_keys(model), *_SWITCHES]
        if key in allowed:
            return self._variables_are_set(key, value)
        near = difflib.get_close_matches(key.replace("_", "-").lower(), allowed, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"allowed are {', '.join(allowed)}"
        self._wrong(value, f"{key!r} is no key of a source; {hint}")
        return False

    def _variables_are_set(self, key: str, node: yaml.Node) -> bool:
        import yaml

        before = len(self.mistakes)

        scalars = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for scalar in scalars:
            for name in _VARIABLE.findall(scalar.value) if isinstance(scalar.value, str) else ():
                if key != "header":
                    self._wrong(scalar, f"{key}: ${{{name}}} may stand in 'header' only")
                elif not _NAME.fullmatch(name):
                    self._wrong(scalar, f"{key}: {name!r} is no name of an environment variable")
                elif name not in self.environment:
                    self._wrong(scalar, f"{key}: the environment variable {name} is not set")
        return len(self.mistakes) == before

    def _wrong(self, node: yaml.Node | None, sentence: str) -> None:
        self.mistakes.append((node.start_mark.line + 1 if node is not None else 1, sentence))


def _sentences(error: ValidationError) -> Iterator[tuple[str, str]]:
    for problem in error.errors():
        key = str(problem["loc"][0]) if problem["loc"] else ""
        context = problem.get("ctx", {})
        if problem["type"] == "literal_error":
            told = f"must be one of {context['expected']}"
        else:
            told = problem["msg"].removeprefix("Value error, ")
        got = f"{problem['input']!r:.80}"
        told += "" if problem["type"] == "missing" or key == "header" or got in told else f", not {got}"
        yield key, f"{key}: {told}"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a sources file, for editors."""
    entries = []
    for kind, model in KINDS.items():
        schema = model.model_json_schema(by_alias=True)
        switch = {"type": "boolean", "default": False}
        schema["properties"] |= {name: {**switch, "title": f"The opposite of '{of}'"} for name, of in _SWITCHES.items()}
        for name in _LISTS:
            listed = schema["properties"][name]
            about = {key: listed.pop(key) for key in ("title", "description", "default") if key in listed}
            schema["properties"][name] = {**about, "anyOf": [{"type": "string"}, listed]}
        schema["additionalProperties"] = False
        schema["required"] = [kind]
        entries.append(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The sources of persona-ingest",
        "type": "object",
        "required": ["sources"],
        "additionalProperties": False,
        "properties": {"sources": {"type": "array", "items": {"anyOf": entries}}},
    }


if __name__ == "__main__":  # python -m connectors.sources.catalogue > docs/sources.schema.json
    import json
    import sys

    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
