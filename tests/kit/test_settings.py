"""Settings: what is read from where, and that what does not hold is refused in words, without a value."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel, Field, PostgresDsn, SecretStr, ValidationError
from standing.parity.settings import EX_CONFIG, ParitySettings, SettingsRefusedError, leaves, near_misses
from standing.parity.settings_commands import describe, env_example, run_env_example, run_settings
from standing.settings import Settings, get_settings

import links

pytestmark = pytest.mark.static

Write = Callable[[str, str], None]
HIDDEN = "geheim-4711"  # must never be seen in any output
GOOD = f"DATABASE_URL=postgresql://user:{HIDDEN}@db/predictions\nAPI_KEY={HIDDEN}\n"


@pytest.fixture(autouse=True)
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, an environment without any setting, and a folder for secrets."""
    for name in (*leaves(Settings), "SERVER"):
        monkeypatch.delenv(name, raising=False)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setitem(Settings.model_config, "secrets_dir", str(tmp_path / "secrets"))
    get_settings.cache_clear()
    return tmp_path / "secrets"


@pytest.fixture
def write(secrets: Path) -> Write:
    """Write a file into the folder that is worked in, or, by a path that begins with `secrets/`, a secret."""

    def into(name: str, text: str) -> None:
        path = secrets.parent / name if name.startswith("secrets/") else Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    return into


def refused() -> dict[str, str]:
    """Return the sentences of a refusal, of which none may hold a value."""
    with pytest.raises(SettingsRefusedError) as caught:
        Settings.read()
    assert HIDDEN not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__  # pydantic's has values
    return caught.value.problems


def start(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, in the folder that is worked in."""
    kit = next(path for path in sys.path if Path(path, links.NAME).is_dir())
    clean = {name: value for name, value in os.environ.items() if name != "APP_ENV"}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**clean, "PYTHONPATH": kit, **environment},
    )


# What a start without settings says.


def test_a_start_without_settings_exits_with_78_and_names_all_of_them() -> None:
    done = start("from standing.settings import get_settings; get_settings()")
    assert done.returncode == EX_CONFIG == 78
    assert done.stdout == ""
    assert done.stderr.splitlines()[0] == "Settings refused: DATABASE_URL, API_KEY."
    assert "API_KEY is missing: set it in the environment, in .env or in /run/secrets/API_KEY" in done.stderr
    assert "Traceback" not in done.stderr


def test_all_faults_are_told_together_and_no_value(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(".env", f"API_KEYS={HIDDEN}\nSEED={HIDDEN}\nSERVER__PORT={HIDDEN}\nSERVER__PROT=80\nEMPTY=\n")
    monkeypatch.setenv("MODEL_POLICY", HIDDEN)
    problems = refused()
    expected = "DATABASE_URL API_KEY MODEL_POLICY SEED SERVER__PORT API_KEYS SERVER__PROT EMPTY"
    assert list(problems) == expected.split()
    assert problems["API_KEYS"] == "API_KEYS in .env is not a setting (did you mean API_KEY?): correct or remove it"
    assert "(did you mean SERVER__PORT?)" in problems["SERVER__PROT"]
    assert problems["SEED"].startswith("SEED from .env is not accepted: Input should be a valid integer")
    assert problems["MODEL_POLICY"].startswith("MODEL_POLICY from the environment is not accepted: ")


def test_pydantics_own_error_holds_no_value(write: Write) -> None:
    write(".env", GOOD + f"SEED={HIDDEN}\n")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "SEED" in str(caught.value).upper()
    assert HIDDEN not in str(caught.value)


@pytest.mark.parametrize("show", [str, repr, lambda held: held.model_dump_json(), lambda held: f"{vars(held)}"])
def test_secrets_are_stars_wherever_settings_are_shown(write: Write, show: Callable[[Settings], str]) -> None:
    write(".env", GOOD)
    settings = Settings.read()
    assert settings.api_key.get_secret_value() == HIDDEN
    assert HIDDEN not in show(settings)


# Which file, and what wins.


@pytest.mark.parametrize(
    ("app_env", "file"), [(None, ".env"), ("dev", ".env"), ("test", ".env.test"), ("prod", ".env.prod")]
)
def test_app_env_picks_one_file(app_env: str | None, file: str, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (".env", ".env.test", ".env.prod"):
        write(name, GOOD + f"MODEL_PATH=models{name}\n")
    # What only another file holds must not be seen.
    write(".env.prod" if file == ".env" else ".env", GOOD + "SEED=1\nMODEL_PATH=models/other\n")
    if app_env:
        monkeypatch.setenv("APP_ENV", app_env)
    settings = Settings.read()
    assert settings.app_env == app_env or (app_env is None and settings.app_env == "dev")
    assert settings.model_path == Path(f"models{file}")
    assert settings.seed == 42


def test_an_app_env_that_is_none_is_the_one_thing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "production")
    assert list(refused()) == ["APP_ENV"]


@pytest.mark.parametrize("app_env", ["dev", "test"])
def test_a_file_that_names_another_environment_is_refused(
    app_env: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_ENV", app_env)
    file = {"dev": ".env", "test": ".env.test"}[app_env]
    write(file, GOOD + "APP_ENV=prod\n")
    assert refused()["APP_ENV"].startswith(f"APP_ENV in {file} contradicts the environment")
    write(file, GOOD + f"APP_ENV={app_env}\n")
    assert Settings.read().app_env == app_env


def test_environment_wins_over_secret_file_over_env_file_over_default(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def source() -> tuple[int, str]:
        settings = Settings.read()
        return settings.server.port, {row["name"]: row["source"] for row in describe(settings)}["SERVER__PORT"]

    write(".env", GOOD)
    assert source() == (8000, "default")
    write(".env", GOOD + "SERVER__PORT=1\n")
    assert source() == (1, ".env")
    write("secrets/server__port", "2\n")
    assert source() == (2, "/run/secrets")
    monkeypatch.setenv("SERVER__PORT", "3")
    assert source() == (3, "the environment")


def test_secret_files_fill_a_plain_and_a_nested_setting(write: Write) -> None:
    write(".env", "DATABASE_URL=sqlite://\n")
    write("secrets/API_KEY", f"{HIDDEN}\n")
    write("secrets/SERVER__LOG_LEVEL", "DEBUG")
    write("secrets/kubernetes.io/serviceaccount/token", "mounted by Kubernetes")
    settings = Settings.read()
    assert settings.api_key.get_secret_value() == HIDDEN
    assert settings.server.log_level == "DEBUG"
    assert settings.server.port == 8000


def test_empty_is_not_set_wherever_it_stands(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(".env", "DATABASE_URL=\nSEED=\n")
    write("secrets/DATABASE_URL", "\n")
    monkeypatch.setenv("API_KEY", "")
    assert list(refused()) == ["DATABASE_URL", "API_KEY"]


@pytest.mark.parametrize("name", [".env", "secrets/API_KEY"])
def test_a_file_that_is_no_text_is_told(name: str, write: Write) -> None:
    write(name, "")
    path = Path(name) if name == ".env" else Path("..", name)
    path.write_bytes(b"API_KEY=\xff\n")
    assert "is not UTF-8 text" in "".join(refused().values())


def test_a_secret_that_others_own_is_told(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    # Compose mounts a file with the mode it has on the host, and the image's user is not its owner.
    write("secrets/API_KEY", HIDDEN)

    def deny(path: Path, **_: object) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", deny)
    ((file, sentence),) = refused().items()
    assert file.endswith("/secrets/API_KEY")
    assert sentence == f"{file} cannot be read: Permission denied"


def test_a_secrets_folder_that_is_none_is_told(write: Write, secrets: Path) -> None:
    write(".env", GOOD)
    secrets.write_text("", encoding="utf-8")
    assert list(refused()) == ["/run/secrets"]


# Placeholders.


@pytest.mark.parametrize("app_env", ["test", "prod"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_KEY", "changethis"),
        ("API_KEY", "CHANGE-ME"),
        ("API_KEY", "changeme!"),
        ("DATABASE_URL", "postgresql://user:changethis@db/predictions"),
    ],
)
def test_placeholders_start_in_dev_only(
    name: str, value: str, app_env: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in (".env", ".env.test", ".env.prod"):
        write(file, GOOD + f"{name}={value}\n")
    assert Settings.read().app_env == "dev"
    monkeypatch.setenv("APP_ENV", app_env)
    (sentence,) = refused().values()
    assert sentence.startswith(f"{name} from .env.{app_env} is not accepted: {name} holds a placeholder")
    assert value not in sentence


class Queue(BaseModel):
    """A section with secrets, one of them required."""

    password: SecretStr = Field(description="a")
    token: SecretStr = Field(SecretStr("x"), description="b")


class Nested(ParitySettings):
    """Settings with a section that has no default."""

    app_env: str = "dev"
    queue: Queue


def test_a_section_that_is_missing_is_told_by_its_required_settings() -> None:
    with pytest.raises(SettingsRefusedError) as caught:
        Nested.read()
    assert list(caught.value.problems) == ["QUEUE__PASSWORD"]


def test_placeholders_in_a_section_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE__PASSWORD", "changethis")
    monkeypatch.setenv("QUEUE__TOKEN", "changeme")
    assert Nested.read().queue.password.get_secret_value() == "changethis"
    monkeypatch.setenv("APP_ENV", "prod")
    with pytest.raises(SettingsRefusedError) as caught:
        Nested.read()
    assert list(caught.value.problems) == ["QUEUE__PASSWORD", "QUEUE__TOKEN"]


def test_an_empty_secret_is_no_secret_outside_dev(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lax(ParitySettings):
        app_env: str = "dev"
        api_key: SecretStr = SecretStr("")

    assert Lax.read().api_key.get_secret_value() == ""
    monkeypatch.setenv("APP_ENV", "prod")
    with pytest.raises(SettingsRefusedError, match="API_KEY from its default is not accepted"):
        Lax.read()


def test_a_field_before_app_env_is_judged_as_outside_dev(monkeypatch: pytest.MonkeyPatch) -> None:
    class Disordered(ParitySettings):
        api_key: SecretStr
        app_env: str = "dev"

    monkeypatch.setenv("API_KEY", "changethis")
    with pytest.raises(SettingsRefusedError):
        Disordered.read()


# The environment is not ours alone.


def kubernetes(service: str) -> dict[str, str]:
    """Return what Kubernetes adds to every container for one service (its page names this list)."""
    name, address = service.upper(), "10.0.0.11"
    return {
        f"{name}_SERVICE_HOST": address,
        f"{name}_SERVICE_PORT": "6379",
        f"{name}_SERVICE_PORT_HTTP": "6379",
        f"{name}_PORT": f"tcp://{address}:6379",
        f"{name}_PORT_6379_TCP": f"tcp://{address}:6379",
        f"{name}_PORT_6379_TCP_PROTO": "tcp",
        f"{name}_PORT_6379_TCP_PORT": "6379",
        f"{name}_PORT_6379_TCP_ADDR": address,
    }


@pytest.mark.parametrize("service", ["server", "model", "api", "database", "app", "seed"])
def test_what_kubernetes_adds_neither_stops_a_start_nor_warns(
    service: str, write: Write, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(".env", GOOD)
    for name, value in kubernetes(service).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SERVER", "somebody else's")
    assert get_settings().server.port == 8000
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("APIKEY", "API_KEY"),
        ("DATABSE_URL", "DATABASE_URL"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("MODEL_PAHT", "MODEL_PATH"),
        ("SERVER_PORT", "SERVER__PORT"),
        ("SERVER__PROT", "SERVER__PORT"),
        ("SERVER__LOGLEVEL", "SERVER__LOG_LEVEL"),
        ("SERVER__BIND_ADDRESS", "SERVER__PORT"),  # the nearest there is: the section is ours
    ],
)
def test_a_misspelt_variable_is_warned_of_and_started_with(
    name: str, meant: str, write: Write, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(".env", GOOD)
    monkeypatch.setenv(name, HIDDEN)
    get_settings()
    assert caplog.messages == [f"{name} in the environment is no setting (did you mean {meant}?)"]


def test_other_programs_variables_are_left_alone() -> None:
    foreign = (
        "PATH",
        "HOME",
        "PORT",
        "HOST",
        "OPENAI_API_KEY",
        "SERVER_NAME",
        "MODEL",
        "MODEL_PORT",
        "API_PORT",
    )
    assert near_misses(Settings, dict.fromkeys(foreign, "")) == []


# The kit and the class.


def test_the_kits_class_has_no_field() -> None:
    assert ParitySettings.model_fields == {}


def test_settings_are_read_at_the_first_call_and_once(write: Write) -> None:
    assert get_settings.cache_info().currsize == 0
    write(".env", GOOD)
    assert get_settings() is get_settings()


def test_settings_do_not_change(write: Write) -> None:
    write(".env", GOOD)
    settings = Settings.read()
    for held, name in ((settings, "seed"), (settings.server, "port")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(held, name, 1)


# .env.example and .env.test.


def test_the_committed_example_is_what_the_class_gives() -> None:
    committed = (links.TEMPLATE / ".env.example.jinja").read_text(encoding="utf-8")
    model_file = links.framework_data(links.FRAMEWORK)["model_file"]
    assert committed.replace("{{ framework.model_file }}", model_file) == env_example(Settings)


def test_the_example_works_in_dev_as_it_is(write: Write) -> None:
    write(".env", env_example(Settings))
    assert Settings.read().database_url.get_secret_value() == "sqlite:///predictions.db"


def test_every_line_of_the_example_is_a_setting_with_its_default(write: Write) -> None:
    lines = env_example(Settings).splitlines()
    assert sum("=" in line for line in lines) == len(leaves(Settings))
    assert all(field.description for _, field in leaves(Settings).values())
    write(".env", "\n".join(lines))
    plain = Settings.read()
    write(".env", "\n".join(line.removeprefix("# ") for line in lines if "=" in line))
    assert Settings.read() == plain


def test_the_committed_test_values_hold(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "test")
    write(".env.test", (links.TEMPLATE / ".env.test").read_text(encoding="utf-8"))
    assert Settings.read().app_env == "test"


def test_env_example_writes_compares_and_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_env_example(["--output", "here"]) == 0
    assert run_env_example(["--check", "here"]) == 0
    assert [path.name for path in Path().iterdir()] == ["here"]
    Path("here").write_text("API_KEY=\n", encoding="utf-8")
    for file in ("here", "nowhere"):
        assert run_env_example(["--check", file]) == 1
        assert capsys.readouterr().err == f"{file} is not what the Settings class gives: run `make env-example`.\n"
    assert run_env_example([]) == 0
    assert capsys.readouterr().out == env_example(Settings)


# `parity settings`


def test_the_table_shows_each_setting_its_source_and_no_secret(
    write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(".env", GOOD)
    monkeypatch.setenv("SEED", "7")
    monkeypatch.setenv("APIKEY", HIDDEN)
    assert run_settings([]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()[1:]] == list(leaves(Settings))
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in out.splitlines()}
    assert rows["SEED"] == ["7", "the environment"]
    assert rows["API_KEY"] == ["**********", ".env"]
    assert rows["DETERMINISM"] == ["strict", "default"]
    assert err == "APIKEY in the environment is no setting (did you mean API_KEY?)\n"
    assert HIDDEN not in out


def test_check_reads_the_file_of_the_environment_that_is_asked_for(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write(".env", GOOD)
    assert run_settings(["--check", "--env", "prod"]) == EX_CONFIG
    assert "There is no .env.prod in " in capsys.readouterr().err
    write(".env.prod", GOOD + "SEED=-1\n")
    assert run_settings(["--check", "--env", "prod"]) == EX_CONFIG
    assert capsys.readouterr().err.startswith("Settings refused: SEED.\n  SEED from .env.prod is not accepted: ")
    write(".env.prod", GOOD)
    assert run_settings(["--check", "--env", "prod"]) == 0
    assert capsys.readouterr().out == "The settings of prod hold.\n"


def test_json_says_the_same(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(".env.prod", GOOD)
    assert run_settings(["--json", "--env", "prod"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"]
    assert answer["settings"][0] == {"name": "APP_ENV", "value": "prod", "source": "--env"}
    assert answer["settings"][3] == {"name": "API_KEY", "value": "**********", "source": ".env.prod"}
    assert run_settings(["--json"]) == EX_CONFIG
    answer = json.loads(capsys.readouterr().out)
    assert not answer["ok"]
    assert list(answer["problems"]) == ["DATABASE_URL", "API_KEY"]


def test_a_password_within_a_url_is_stars_also_where_nobody_called_it_a_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Plain(ParitySettings):
        app_env: str = "dev"
        url: PostgresDsn
        hosts: list[str] = Field(default=["a", "b"])
        none: str | None = None
        other: object = links  # of a type that pydantic cannot write

    monkeypatch.setenv("URL", f"postgresql://user:{HIDDEN}@db/predictions")
    rows = {row["name"]: row["value"] for row in describe(Plain.read())}
    assert rows["URL"] == "postgresql://user:**********@db/predictions"
    assert rows["HOSTS"] == '["a", "b"]'
    assert rows["NONE"] == ""
    assert rows["OTHER"].startswith("<module 'links'")
    monkeypatch.setenv("HOSTS", HIDDEN)
    with pytest.raises(SettingsRefusedError) as caught:
        Plain.read()
    assert caught.value.problems == {"HOSTS": "HOSTS holds several values, and is not written as JSON"}


def test_what_starts_nothing_imports_no_service(write: Write) -> None:
    write(".env", GOOD)
    code = (
        "import sys; from standing.parity.settings_commands import run_settings; run_settings(['--check']);"
        "print(sorted({'fastapi', 'numpy', 'sklearn', 'standing.api', 'standing.model'} & set(sys.modules)))"
    )
    assert start(code).stdout == "The settings of dev hold.\n[]\n"
