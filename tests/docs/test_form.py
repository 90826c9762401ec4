"""Level static: each command on a page is one that a test types, or says why not; and what pages list is there."""

import ast
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest

import commands
import links
import rendering
import repositories
from docs import listing, reading
from docs.pictures import make

pytestmark = pytest.mark.static

SHELLS = {"", "bash", "console", "shell", "zsh", "shell-session"}
INDENTED = re.compile(r"(?<=\n)\n {4}(?![-*\d|])\S.*")
VERB = re.compile(r"`make(?: [A-Z]+=\S+)* ([a-z][a-z-]*)")
EVERYDAY = re.compile(r"^([a-z-]+):.*## [A-Z]", re.MULTILINE)
TARGET = re.compile(r"^((?:[a-z.][\w./-]* ?)+):(?!=)", re.MULTILINE)


def table_of_reasons() -> set[str]:
    """Return the reasons that a block may give: the first column of the table in tests/README.md."""
    text = reading.text_of("tests/README.md").partition("## Commands that no test types\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def every_block() -> Iterator[reading.Block]:
    """Yield the blocks of each page but those that a test of their own follows, by rules of its own."""
    for name, page in reading.pages().items():
        if not page.run_by:
            yield from reading.blocks(name, reading.text_of(name))


@pytest.fixture(scope="module")
def repository(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rendering.render(template, tmp_path_factory.mktemp("docs") / "my-model")


@pytest.mark.parametrize("name", reading.pages())
def test_commands_stand_in_blocks_that_can_be_found(name: str) -> None:
    text = reading.text_of(name)
    strange = [str(block) for block in reading.blocks(name, text) if block.language in SHELLS]
    assert not strange, "commands belong into ```sh, what is printed into ```text"
    assert not INDENTED.findall(reading.prose(text)), "an indented block says no language: use ```sh or ```text"


def test_what_is_said_of_a_block_is_known() -> None:
    for block in every_block():
        assert not block.marks.keys() - reading.MARKS, block
        assert len(block.marks.keys() & {"not-run", "run-by"}) < 2, block


def test_a_command_that_no_test_types_has_one_of_the_reasons() -> None:
    given = {block.marks["not-run"] for block in every_block() if "not-run" in block.marks}
    assert given <= table_of_reasons(), "a reason is a row of the table in tests/README.md"
    assert table_of_reasons() <= given, "no page gives this reason any more"


def test_a_command_that_another_test_types_is_named_there() -> None:
    for block in every_block():
        if path := block.marks.get("run-by"):
            first = block.text.split("\n")[0].partition("#")[0]
            verb = re.search(r"^(?:\w+=\S+ )?([a-z]+) ([a-z]+)|^(\w+)=", first)
            words = [word for word in (verb.groups() if verb else ()) if word]
            assert re.search(r"\W+".join(words), reading.text_of(path)), f"{path} has no {' '.join(words)}: {block}"


def test_a_page_that_another_test_follows_is_named_there() -> None:
    for name, page in reading.pages().items():
        page_or_folder = Path(name).parts[1:2]  # docs/adopt.md by its name, docs/workshop/… by that of its folder
        assert not page.run_by or page_or_folder[0] in reading.text_of(page.run_by), name


def targets(makefile: str) -> set[str]:
    return {target for line in TARGET.findall(makefile) for target in line.split()}


@pytest.mark.parametrize("name", [name for name, page in reading.pages().items() if not page.run_by])
def test_a_verb_that_a_page_names_is_in_a_makefile(name: str, repository: Path) -> None:
    makefiles = ("Makefile", "template/versioning/dvc/commands.mk", "template/workshop/Makefile")
    known = targets((repository / "Makefile").read_text()).union(*(targets(reading.text_of(one)) for one in makefiles))
    text = reading.text_of(name)
    known |= set(re.findall(r"^([a-z-]+): ##", text, re.MULTILINE))  # of a Makefile.local on the page
    typed = "\n".join(block.text for block in reading.blocks(name, text) if block.language == "sh")
    named = {*VERB.findall(text), *re.findall(r"^make ([a-z-]+)", typed, re.MULTILINE)}
    assert named <= known


def test_the_readme_has_a_row_for_each_everyday_verb(repository: Path) -> None:
    table = re.findall(r"^\| `make ([a-z-]+)", (repository / "README.md").read_text(), re.MULTILINE)
    everyday = set(EVERYDAY.findall((repository / "Makefile").read_text())) - {"help", "help-all"}
    typed = set(re.findall(r"^make ([a-z-]+)", (repository / "README.md").read_text(), re.MULTILINE))
    assert everyday <= {*table, *typed, "test"}, "make check runs the tests; all others are told"
    assert len(table) == len(set(table))


# The program that follows the pages, seen to notice what is wrong.


def block(text: str) -> reading.Block:
    [found] = reading.blocks("page.md", text)[:1]
    return found


def follow(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "here").mkdir()
        with reading.Reader(Path(folder) / "here", {}) as reader:
            reader.follow(block(text))


@pytest.mark.parametrize(
    "text",
    [
        "```sh\nfalse\n```",
        "```sh\nfalse\ntrue\n```",
        "```sh fails\ntrue\n```",
        "```sh\necho one\n```\n\n```text\ntwo\n```",
        "```sh\necho one two\n```\n\n```text\none …three\n```",
        "```sh\necho one; echo two\n```\n\n```text\none\n```",
        "```sh\nno-such-program-of-parity\n```",
    ],
)
def test_a_page_whose_command_or_output_is_wrong_is_noticed(text: str) -> None:
    with pytest.raises(AssertionError):
        follow(text)


@pytest.mark.parametrize(
    "text",
    [
        "```sh\ntrue\n```",
        "```sh fails\nfalse\n```",
        "1. item\n\n   ```sh\n   echo one two three\n   ```\n\n   ```text\n   one … three\n   ```",
        "```sh\necho one; echo two; echo three\n```\n```text\n…\nthree\n```",
        "```sh\necho one\n```\n\nOther text.\n\n```text\ntwo\n```",
    ],
)
def test_a_page_that_is_right_is_followed(text: str) -> None:
    follow(text)


# Lists of what the template has.


@pytest.mark.parametrize("name", listing.PAGES)
def test_a_page_that_only_lists_is_what_the_template_says(template: Path, name: str) -> None:
    said = reading.text_of(f"docs/reference/{name}")
    assert said == listing.PAGES[name](template), "`make docs` writes it"


def rows(page: str) -> dict[str, str]:
    """Return the second cell of each row of a page's first table that begins with a path."""
    table = reading.text_of(page).partition("\n| path |")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]+?) \|", table, re.MULTILINE))


def shown(path: Path) -> str:
    """Return how the page names a file: the kit is one."""
    return re.sub(r"^(src/\w+/parity/).*", r"\1", path.as_posix())


def test_the_page_of_the_files_is_what_is_rendered(template: Path, repository: Path) -> None:
    context = {"tool": links.data("uv")}
    patterns = jinja2.Template((template / "template/project-owned.txt").read_text()).render(context).split()
    theirs = {path for pattern in patterns for path in repository.glob(pattern.strip("/"))}
    owners = {
        shown(path): "yours" if {repository / path, *(repository / path).parents} & theirs else "the template's"
        for path in rendering.files(repository)
    }
    assert rows("docs/reference/files.md") == owners


def test_the_pictures_are_what_the_template_gives(template: Path) -> None:
    for name, drawn in make.from_the_template(template).items():
        assert (make.FOLDER / name).read_text(encoding="utf-8") == drawn, f"{name}: `make docs` draws it"


@pytest.mark.parametrize("name", ["verify-green.svg", "verify-red.svg"])
def test_the_pictures_of_verify_show_what_a_page_says_that_it_prints(name: str) -> None:
    shown = make.words((make.FOLDER / name).read_text(encoding="utf-8")).partition("\n\n")[2]
    last = ["✓ model", "✗ environment"][name == "verify-red.svg"]
    said = [block.printed for block in every_block() if block.printed and last in block.printed]
    # A page's output goes on with make's own line where it fails.
    assert any(reading.fits(f"{shown}\nmake: *** Error 1", text) or reading.fits(shown, text) for text in said)


def test_every_picture_is_small_and_on_a_page() -> None:
    pages = "".join(reading.text_of(name) for name in reading.pages())
    for path in make.FOLDER.glob("*.svg"):
        assert path.stat().st_size < 20_000, path.name
        assert f"pictures/{path.name})" in pages, f"{path.name} is on no page"


def site(docs: Path, folder: Path) -> list[str | Path]:
    """Return the command that builds the site: the Makefile's, for other folders."""
    [line] = re.findall(r"^SITE := (.*)--doctree-dir", reading.text_of("Makefile"), re.MULTILINE)
    python, *options = line.split()
    return [rendering.ROOT / python, *options, "--doctree-dir", folder / "doctrees", docs, folder]


def test_the_site_builds_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    commands.succeed(tmp_path, *site(rendering.ROOT / "docs", tmp_path / "site"))
    assert (tmp_path / "site/tutorial/first-repository.html").exists()


def test_a_link_that_leads_nowhere_ends_the_build_of_the_site(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("conf.py", "site.css"):
        shutil.copy(rendering.ROOT / "docs" / name, tmp_path / "docs")
    (tmp_path / "docs/index.md").write_text("# Here\n\n[gone](index.md#no-such-heading)\n", encoding="utf-8")
    assert "no-such-heading" in commands.refuse(tmp_path, *site(tmp_path / "docs", tmp_path / "site"))


def linked(name: str) -> set[str]:
    """Return the pages that a page leads to by links outside of its blocks."""
    found = re.findall(r"\]\(([^)\s#:]+\.md)(?:#[^)\s]*)?\)", reading.prose(reading.text_of(name)))
    return {Path(os.path.normpath(Path(name).parent / one)).as_posix() for one in found} - {name}


PAGES = [name for name in reading.pages() if name != reading.RENDERED]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_leads_on(name: str) -> None:
    assert linked(name), "nothing on it leads to another page"


def test_the_start_page_leads_to_every_other_one() -> None:
    seen: set[str] = set()
    ahead = {"docs/index.md"}
    while ahead:
        seen |= ahead
        ahead = {two for one in ahead for two in linked(one) if two in PAGES} - seen
    assert {*PAGES} - seen == {"README.md"}
    by_itself = {*linked("docs/index.md")}
    below = {name for name in PAGES if re.match(r"docs/(workshop|decisions)/", name)}
    assert {*PAGES} - below - by_itself == {"README.md", "docs/index.md"}, (
        "only a folder's own start page lists its pages"
    )


def python_of_the_package() -> list[reading.Block]:
    """Return the blocks of Python that import the package as code outside of it does."""
    kept = re.compile(r"^from my_model", re.MULTILINE)
    return [one for one in every_block() if one.language == "python" and kept.search(one.text)]


@pytest.mark.parametrize("shown", python_of_the_package(), ids=str)
def test_python_on_a_page_names_what_the_package_has(shown: reading.Block, repository: Path) -> None:
    code = re.sub(r"^%.*$", "", shown.text, flags=re.MULTILINE)  # IPython's own commands
    tree = ast.parse(code)
    modules: dict[str, Path] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            folder = repository / "src" / node.module.replace(".", "/")
            modules |= {one.asname or one.name: folder / f"{one.name}.py" for one in node.names}
    assert modules
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            assert node.attr in names(modules[node.value.id]), f"{node.value.id} has no {node.attr}"


def names(module: Path) -> set[str]:
    """Return what a module defines."""
    body = ast.parse(module.read_text(encoding="utf-8")).body
    return {one.name for one in body if isinstance(one, ast.FunctionDef | ast.ClassDef)}


def definitions(text: str) -> dict[str, str]:
    return dict(re.findall(r"^\[(\w+)\]: (\S+)$", text, re.MULTILINE))


def test_every_cell_about_a_peer_leads_to_the_file_that_shows_it() -> None:
    text = reading.text_of("README.md")
    table = text.partition("## Beside others\n")[2].partition("\n## ")[0]
    cells = [
        cell.strip()
        for row in re.findall(r"^\| (?!---|\|)(.*) \|$", table, re.MULTILINE)
        for cell in row.split(" | ")[1:]
    ]
    named = [re.findall(r"\]\[(\w+)\]", cell) for cell in cells if cell not in {"Parity", "no model"}]
    assert len(cells) > 40
    assert all(named), "a cell that leads nowhere cannot be checked"
    assert {name for names in named for name in names} <= definitions(text).keys()


@pytest.mark.parametrize("name", ["README.md", "tests/README.md"])
def test_every_link_of_a_readme_leads_to_a_file(name: str) -> None:
    text = reading.text_of(name)
    links = [*re.findall(r"\]\(([^)\s]+)\)", text), *definitions(text).values()]
    local = [link.partition("#")[0] for link in links if not re.match(r"https?:", link)]
    assert not [link for link in local if not ((rendering.ROOT / name).parent / link).exists()]
    peers = [link for link in links if link.startswith("https://github.com/")]
    assert all(re.search(r"/(blob|tree)/[0-9a-f]{40}(/|$)", link) for link in peers), (
        "a branch moves on, a commit stays"
    )


def told(tool: str) -> dict[str, list[str]]:
    """Return the verbs that a tool's rows of the README tell, each with the commands behind it."""
    rows = re.findall(
        r"^\| `make ([a-z]+)[^|]*\|[^|]*\|(.*)\|$", reading.text_of(f"tools/{tool}/verbs.md"), re.MULTILINE
    )
    return {verb: re.findall(r"`([^`]+)`", commands) for verb, commands in rows}


@pytest.mark.parametrize("tool", repositories.NAMES)
def test_the_readme_tells_the_same_verbs_of_each_tool(tool: str) -> None:
    assert list(told(tool)) == list(told(repositories.DEFAULT))


@pytest.mark.parametrize("tool", repositories.NAMES)
def test_an_option_that_the_readme_tells_is_one_that_the_verb_gives(tool: str) -> None:
    programs = [*(rendering.ROOT / "tools" / tool).glob("*.py"), rendering.ROOT / "template/.tools/install.py"]
    texts = [path.read_text(encoding="utf-8") for path in programs] + [reading.text_of(f"tools/{tool}/commands.mk")]
    given = set(re.findall(r"(?<![\w-])--[a-z-]+", " ".join(texts)))
    behind = " ".join(one for each in told(tool).values() for one in each)
    assert set(re.findall(r"--[a-z-]+", behind)) <= given
