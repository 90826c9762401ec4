"""Asks the template's questions through Copier itself, and renders single files: milliseconds, no repository.

Copier has no public way to do either, so this uses its Worker as `run_copy` does. A test compares the outcome
with a whole render, which fails when a new Copier works otherwise.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from copier._main import Worker
from copier._template import filter_config, load_template_config

# Copier renders such a file once for each name in a list of the tool's.
YIELD = re.compile(r"{% yield (?P<one>\w+) from tool\.(?P<list>\w+) %}{{ \w+ }}{% endyield %}")
TEXTS = ("project_name", "package_name", "description", "author", "package_index")


class Interrogation:
    """One template, asked again and again."""

    def __init__(self, template: Path, folder: Path) -> None:
        self._worker = Worker(src_path=str(template), dst_path=folder, defaults=True, quiet=True)
        self._sources = [
            path.relative_to(template).as_posix()
            for path in sorted((template / "template").rglob("*.jinja"))
            # Rendered by `make switch` alone, and where the workshop is asked for.
            if path.parent.name not in {".switch", "workshop"}
        ]

    def ask(self, **answers: object) -> dict[str, Any]:
        """Return every answer, the defaults and the computed ones too; ValueError where one is refused."""
        self._worker.data = answers
        self._worker._ask()  # noqa: SLF001 - see the module's docstring
        return dict(self._worker.answers.combined)

    def files(self, **answers: object) -> dict[str, str]:
        """Return the files that Jinja renders, by name; ValueError where an answer is refused."""
        self.ask(**answers)
        context: Mapping[str, Any] = self._worker._render_context()  # noqa: SLF001
        return dict(pair for source in self._sources for pair in self._rendered(source, context))

    def _rendered(self, source: str, context: Mapping[str, Any]) -> list[tuple[str, str]]:
        jinja = self._worker.jinja_env
        many = YIELD.search(source)
        names = context["tool"][many["list"]] if many else [""]
        contexts = [{**context, many["one"]: name} if many else dict(context) for name in names]
        path = YIELD.sub(r"{{ \g<one> }}", source)
        named = [(self._name(jinja, path, one), one) for one in contexts]
        return [(name, jinja.get_template(source).render(**one).encode().decode()) for name, one in named if name]

    @staticmethod
    def _name(jinja: jinja2.Environment, source: str, context: Mapping[str, Any]) -> str:
        parts = [jinja.from_string(part).render(**context) for part in source.split("/")[1:]]
        return "/".join(parts).removesuffix(".jinja") if parts[-1] != ".jinja" else ""


def questions(template: Path) -> dict[str, dict[str, Any]]:
    """Return the questions of copier.yml that a person may be asked, in order."""
    asked = filter_config(load_template_config(template / "copier.yml"))[1].items()
    return {name: details for name, details in asked if details.get("when", True)}
