"""The pure parts of `make switch`: what a manifest says, what a tool can have of it, how pyproject.toml is edited."""

import json
import tomllib
from pathlib import Path
from types import ModuleType

import carry
import pyproject
import pytest
import switch
import tied

import links

pytestmark = pytest.mark.static

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_answers_are_read_with_and_without_quotes() -> None:
    text = "# Written by Copier\n_commit: v1.0.0\nempty: ''\nname: My \"x\" Model\nquoted: 'a: b'\nversion: \"3.13\"\n"
    wanted = {"_commit": "v1.0.0", "empty": "", "name": 'My "x" Model', "quoted": "a: b", "version": "3.13"}
    assert carry.answers(text) == wanted


@pytest.mark.parametrize(
    ("line", "comment"),
    [
        ("alpha>=1", ""),
        ("alpha>=1  # why", "why"),
        ("alpha>=1 #why not, don't", "why not, don't"),
        ('"alpha @ git+https://host/a#egg=alpha",', ""),
        ("\"alpha ; x == 'a # b'\",  # why # else", "why # else"),
        ('alpha = {version = "*"} # it\'s', "it's"),
    ],
)
def test_a_comment_begins_outside_of_quotes(line: str, comment: str) -> None:
    assert carry.trailing(line) == comment


STOCK = "# The template's.\n-c requirements.txt\n"
MANIFEST = """\
# The template's.
-c requirements.txt
-r more.in
# above
# and further up
Alpha.One[fast]>=1  # beside
beta>=2

# apart

--extra-index-url https://packages.example.com
gamma  # the last
# at the end
"""


def test_comments_go_with_their_requirement_and_the_rest_is_told() -> None:
    names = {"alpha-one": "alpha-one", "beta": "beta", "gamma": "delta"}
    found = carry.scan(MANIFEST, STOCK, names, links.data("pip-tools"))
    assert found.whys == {"alpha-one": "above and further up beside", "delta": "the last"}
    assert found.rest == ["# apart", "--extra-index-url https://packages.example.com", "# at the end"]


def test_what_a_line_of_a_pipfile_says_beside_a_version_is_told() -> None:
    text = '[packages]\nalpha = {version = "*", index = "ours"}\nbeta = "*"\n[scripts]\nhello = "echo"\n'
    found = carry.scan(text, "[packages]\n", {"alpha": "alpha", "beta": "beta"}, links.data("pipenv"))
    assert found.elsewhere == ["alpha"]
    assert found.rest == ['alpha = {version = "*", index = "ours"}', "[scripts]", 'hello = "echo"']


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("- alpha >=1", False),
        ("- alpha >=1,<2  # why [not]", True),
        ("- alpha >=1  # [osx]", True),
        ("- alpha >=1 *cuda*", True),
        ("- alpha >=1  # why not", False),
    ],
)
def test_a_platform_and_a_build_of_conda_are_told(line: str, *, told: bool) -> None:
    found = carry.scan(f"dependencies:\n  {line}\n", "dependencies:\n", {"alpha": "alpha"}, links.data("conda"))
    assert found.rest == ([line] if told else [])


def test_only_quoted_names_are_requirements_in_pyproject() -> None:
    text = 'alpha = "not one"  # no\n    "alpha>=1",  # yes\n'
    assert carry.scan(text, "", {"alpha": "alpha"}, links.data("uv"), quoted=True).whys == {"alpha": "yes"}


def test_what_comes_from_git_is_carried_by_its_commit() -> None:
    commits = {"alpha": COMMIT}
    for address in ("https://host/a", "ssh://git@host/a", "file:///a"):
        for ref in ("", "@main", "@feature/one"):
            line = carry.at_commit(f'alpha[x] @ git+{address}{ref}#subdirectory=b ; os_name == "posix"', commits)
            assert line == f"alpha[x] @ git+{address}@{COMMIT}#subdirectory=b ; os_name == 'posix'"
    assert carry.at_commit(f"alpha @ git+https://host/a@{COMMIT[::-1]}", commits).endswith(COMMIT[::-1])
    assert carry.at_commit("alpha>=1", commits) == "alpha>=1"


def test_a_line_that_a_reader_put_together_is_tidied() -> None:
    assert carry.tidy('alpha[y,x]<2,!=1.5,>=1 ; (os_name == "posix")') == "alpha[x,y]>=1,!=1.5,<2 ; os_name == 'posix'"
    assert carry.tidy(GIT) == GIT


def test_a_source_of_a_table_becomes_a_line() -> None:
    source = {"git": "https://host/a", "tag": "v1", "subdirectory": "b"}
    assert carry.from_source("alpha[x]", source) == "alpha[x] @ git+https://host/a@v1#subdirectory=b"
    assert carry.from_source("alpha", {"path": "../a"}) == carry.from_source("alpha", [source]) == ""


def described(tool: str) -> carry.Repository:
    """Return a tool as a render for a switch describes it, without files."""
    return carry.Repository(Path(), {**links.data(tool), "name": tool})


GIT = f"alpha @ git+https://host/a@{COMMIT}"


@pytest.mark.parametrize(
    ("line", "tool", "fitting", "told"),
    [
        (GIT, "uv", GIT, ""),
        (GIT, "poetry", GIT, ""),
        (GIT, "pip-tools", "", "pip-tools cannot check"),
        (GIT, "pipenv", "", "pipenv cannot check"),
        (GIT, "conda", "", "conda cannot check"),
        ("alpha[x]>=1 ; sys_platform == 'win32'", "uv", "alpha[x]>=1 ; sys_platform == 'win32'", ""),
        ("alpha[x]>=1 ; sys_platform == 'linux'", "pipenv", "alpha[x]>=1 ; sys_platform == 'linux'", ""),
        ("alpha[x]==1.5 ; sys_platform == 'win32'", "pipenv", "alpha[x]==1.5 ; sys_platform == 'win32'", ""),
        ("alpha[x]>=1 ; sys_platform == 'win32'", "pipenv", "", "not for Linux"),
        ("alpha>=1", "conda", "alpha>=1", ""),
        ("alpha[x]>=1 ; sys_platform == 'linux'", "conda", "alpha>=1", "without its marker and extra"),
        ("alpha>=1 ; sys_platform == 'win32'", "conda", "", "not for Linux"),
    ],
)
def test_a_tool_gets_what_it_can_have(line: str, tool: str, fitting: str, told: str) -> None:
    found, sentence = carry.fitted(line, described(tool))
    assert found == fitting
    assert told in sentence
    assert bool(told) == bool(sentence)


def test_pins_hold_what_is_asked_for_and_what_that_needs() -> None:
    groups = {
        "runtime": ["Alpha[x]>=1 ; python_version > '3'", "beta ; python_version < '3'", GIT.replace("alpha", "g")]
    }
    packages = [
        {"name": "alpha", "version": "1.5", "groups": ["main"]},
        {"name": "deep", "version": "2", "groups": ["main", "dev"]},
        {"name": "tester", "version": "3", "groups": ["dev"]},
        {"name": "g", "version": "", "groups": ["main"]},
    ]
    assert carry.pinned({**groups, "dev": []}, packages) == {
        "runtime": ["Alpha[x]==1.5 ; python_version > '3'", *groups["runtime"][1:], "deep==2"],
        "dev": ["tester==3"],
    }


def project(tool: str, *, needs: str = "", groups: str = "", after: str = "") -> str:
    needs = needs or "# What it needs stands in requirements.in."
    return f"""\
[build-system]
# {tool} carries it.
requires = ["{tool}"]
build-backend = "{tool}"

[project]
name = "demo"
requires-python = "==3.13.*"
classifiers = ["Private"]
{needs}
{groups}{after}
[tool.ruff]
extend = ".tools/ruff.toml"
"""


def needs(*lines: str) -> str:
    return "\n".join(["dependencies = [", *(f'    "{line}",' for line in lines), "]"])


def dev(*lines: str) -> str:
    return "\n".join(
        ["", "[dependency-groups]", "# the page", "dev = [", *(f'    "{line}",' for line in lines), "]", ""]
    )


SOURCE = '\n# Poetry reads it here.\n[[tool.poetry.source]]\nname = "default"\nurl = "https://x"\n'
WITHOUT = project("flit")
WITH = project("uv", needs=needs("alpha[x]>=1"), groups=dev("tester"))
POETRY = project("poetry", needs=needs("alpha[x]>=1"), groups=dev("tester"), after=SOURCE)


@pytest.mark.parametrize("old", [WITHOUT, WITH, POETRY])
@pytest.mark.parametrize("new", [WITHOUT, WITH, POETRY])
def test_pyproject_becomes_the_other_tools_and_back(old: str, new: str) -> None:
    assert pyproject.exchanged(old, old, new, keep=False) == new


def ours(text: str) -> str:
    """Return a pyproject.toml after a user's work."""
    own = '[project.optional-dependencies]\nplot = ["matplotlib"]\n\n# ours\n[tool.ruff]\n# and ours\n'
    return text.replace("[tool.ruff]\n", own).replace('name = "demo"', "name = 'demo'   # ours")


def test_the_users_bytes_stay() -> None:
    assert pyproject.exchanged(ours(WITH), WITH, WITHOUT, keep=False) == ours(WITHOUT)
    assert pyproject.exchanged(ours(WITHOUT), WITHOUT, WITH, keep=False) == ours(WITH)


def test_requirements_that_both_tools_read_stay_as_they_are_written() -> None:
    text = WITH.replace('    "alpha[x]>=1",\n', "  'alpha[x]>=1', # ours ]\n")
    kept = pyproject.exchanged(text, WITH, POETRY, keep=True)
    assert kept == POETRY.replace('    "alpha[x]>=1",\n', "  'alpha[x]>=1', # ours ]\n")


def test_other_groups_stay_where_the_new_tool_reads_them() -> None:
    more = 'docs = ["sphinx"]\n'
    text = WITH.replace("dev = [", f"{more}dev = [")
    new = POETRY.replace("alpha[x]", "beta")
    assert pyproject.exchanged(text, WITH, new, keep=False) == new.replace("dev = [", f"{more}dev = [")
    assert pyproject.exchanged(text, WITH, WITHOUT, keep=False) == WITHOUT


def test_another_python_is_written_where_the_answer_changes_it() -> None:
    new = WITHOUT.replace("3.13", "3.12")
    assert pyproject.exchanged(WITH, WITH, new, keep=False) == new


def test_a_layout_that_cannot_be_edited_is_refused() -> None:
    dotted = 'project.name = "demo"\nproject.requires-python = "==3.13.*"\nproject.dependencies = ["alpha[x]>=1"]\n'
    with pytest.raises(ValueError, match="only you can edit"):
        pyproject.exchanged(f"{dotted}[build-system]\nrequires = ['uv']\n", WITH, WITHOUT, keep=False)


PLACE = links.data("uv")["constraints"]


def test_constraints_are_written_once() -> None:
    marked = ["alpha<2 ; sys_platform == 'linux'"]
    assert tomllib.loads(pyproject.constrained(WITH, PLACE, marked))["tool"]["uv"]["constraint-dependencies"] == marked
    text = pyproject.constrained(WITH, PLACE, ["alpha<2", "beta[x]<3"])
    assert tomllib.loads(text)["tool"]["uv"] == {"constraint-dependencies": ["alpha<2", "beta[x]<3"]}
    again = pyproject.constrained(text, PLACE, ["alpha<3"])
    assert again == text.replace('    "alpha<2",\n    "beta[x]<3",\n', '    "alpha<3",\n')
    assert text.startswith(WITH)


@pytest.fixture
def repository(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    root = tmp_path_factory.mktemp("root")
    answers = "_commit: v1.0.0\npackage_index: https://packages.example.com/simple/\npackage_manager: uv\n"
    answers += "package_name: demo\n"
    (root / ".copier-answers.yml").write_text(f"# Copier\n{answers}", encoding="utf-8")
    monkeypatch.setattr(switch, "ROOT", root)
    return switch


def test_a_channel_is_asked_for_where_the_index_is_one_of_pip(repository: ModuleType) -> None:
    tools = described("uv"), described("conda")
    (told,) = repository.foreign_index({"package_manager": "conda"}, tools)
    assert "TO='conda package_index=" in told
    assert not [*repository.foreign_index({"package_manager": "conda", "package_index": ""}, tools)]
    assert not [*repository.foreign_index({"package_manager": "poetry"}, (tools[0], described("poetry")))]


def test_a_copy_without_a_version_is_refused(repository: ModuleType) -> None:
    (repository.ROOT / ".copier-answers.yml").write_text("package_manager: uv\n", encoding="utf-8")
    with pytest.raises(repository.SwitchError, match="which version of the template"):
        repository.wanted(["poetry"])


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    ("broken", "verbs"), [("model", []), ("environment", ["setup", "check"]), ("", ["setup", "check"])]
)
def test_a_model_of_another_environment_is_no_failure(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: str,
    verbs: list[str],
) -> None:
    links = [{"name": name, "ok": name != broken} for name in ("environment", "model")]
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(switch, "must", lambda *words: ran.append(words))
    monkeypatch.setattr(switch, "told", lambda *_: json.dumps({"links": links}).encode())
    switch.finish()
    assert ran == [("tools", ".env", "sync"), *([tuple(verbs)] if verbs else [])]
    assert ("make train" in capsys.readouterr().out) == (broken == "model")


def test_line_ends_of_a_file_stay(repository: ModuleType) -> None:
    (repository.ROOT / "ours.toml").write_bytes(b"a = 1\r\n")
    switch.write({"ours.toml": "a = 2\n", "new.toml": "a = 2\n"})
    assert (repository.ROOT / "ours.toml").read_bytes() == b"a = 2\r\n"
    assert (repository.ROOT / "new.toml").read_bytes() == b"a = 2\n"


OWN_INDEX = {
    "name": "own", "packages": ["torch"], "ranges": {"torch": "torch>=2,<3"}, "exactly": {"torch": "torch==2.1+cpu"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("line", "freed", "by_index", "by_version"),
    [
        ("torch==2.1+cpu", "torch>=2,<3", "torch==2.1", "torch==2.2+cpu"),
        ("torch==2.0+cpu", "torch==2.0", "torch==2.0", "torch==2.2+cpu"),
        ("Torch>=2", "Torch>=2", "Torch>=2", "torch==2.2+cpu"),
        ("other==1.0+local", "other==1.0+local", "other==1.0+local", "other==1.0+local"),
    ],
)
def test_what_has_an_index_of_its_own_is_tied_there_as_each_tool_does(
    line: str, freed: str, by_index: str, by_version: str
) -> None:
    locked = {"torch": "2.2+cpu", "other": "1.0+local"}
    assert tied.free(line, OWN_INDEX) == freed
    assert tied.tied(line, {"source": OWN_INDEX}, locked) == by_index
    assert tied.tied(line, {"source": OWN_INDEX, "exact": True}, locked) == by_version
    assert tied.tied(line, {"source": {}, "exact": True}, locked) == tied.free(line, {}) == line
    # Where another kind of package was locked, the template knows a version.
    assert tied.tied("torch", {"source": OWN_INDEX, "exact": True}, {"torch": "2.2"}) == "torch==2.1+cpu"


def test_only_the_templates_own_tie_is_no_news() -> None:
    text = '[packages]\ntorch = {version = "*", index = "own"}\nalpha = {version = "*", index = "theirs"}\n'
    data = {**links.data("pipenv"), "source": OWN_INDEX}
    found = carry.scan(text, "[packages]\n", {"torch": "torch", "alpha": "alpha"}, data)
    assert (found.elsewhere, found.rest) == (["alpha"], ['alpha = {version = "*", index = "theirs"}'])


def test_of_a_name_on_several_lines_a_tool_that_may_have_one_gets_that_for_linux() -> None:
    lines = ["a>=1 ; sys_platform == 'darwin'", "a[x]>=1 ; sys_platform == 'linux'", "b ; sys_platform == 'darwin'"]
    left: list[str] = []
    assert [*carry.once(lines, described("pipenv"), left)] == lines[1:]
    assert left == [f"{lines[0]}: not for Linux, where pipenv's lock is needed."]
    assert [*carry.once(lines, described("pip-tools"), [])] == lines


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        ("torch>=2.12,<2.16 cuda*", "torch>=2.12,<2.16"),
        ("torch>=2.12,<2.16", "torch>=2.12,<2.16"),
        ("alpha ; sys_platform == 'linux'", "alpha ; sys_platform == 'linux'"),
        (GIT, GIT),
    ],
)
def test_a_build_of_condas_is_no_part_of_a_requirement(line: str, plain: str) -> None:
    assert carry.without_build(line) == plain
    assert carry.name_of(line) in {"torch", "alpha"}
