from __future__ import annotations

from pathlib import Path

import pytest

from bot.settings import VARIABLES, LogFormat, LogLevel, SettingsError, async_database_url, read_settings

SLACK = {"SLACK_BOT_TOKEN": "xoxb-rosebud", "SLACK_APP_TOKEN": "xapp-sledge"}


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = read_settings({})
    assert settings.slack_api_url == "https://slack.com/api/"
    assert settings.database_url.get_secret_value() == "sqlite+aiosqlite:///countersign.db"
    assert settings.stack_file == Path("stack.toml")
    assert (settings.port, settings.port_is_set) == (3000, False)
    assert (settings.log_level, settings.log_format) == (LogLevel.INFO, LogFormat.CONSOLE)


def test_the_environment_is_read_once() -> None:
    environment = {"PORT": " 8030 ", "STACK_FILE": "gaul.toml", "LOG_LEVEL": "DEBUG", "LOG_FORMAT": "Json"}
    settings = read_settings(environment)
    environment["PORT"] = "1"
    assert (settings.port, settings.port_is_set) == (8030, True)
    assert settings.stack_file == Path("gaul.toml")
    assert (settings.log_level, settings.log_format) == (LogLevel.DEBUG, LogFormat.JSON)


def test_an_empty_variable_counts_as_unset() -> None:
    settings = read_settings({"PORT": "", "SLACK_BOT_TOKEN": "  ", "SLACK_SIGNING_SECRET": ""})
    assert (settings.port, settings.slack_bot_token, settings.slack_signing_secret) == (3000, None, None)


def test_a_models_key_is_found_by_the_name_in_the_stack() -> None:
    settings = read_settings({"HARE_KEY": "carrot"})
    key = settings.secret("HARE_KEY")
    assert key is not None
    assert key.get_secret_value() == "carrot"
    assert settings.secret("OWL_KEY") is None
    assert settings.secret(None) is None


def test_no_secret_is_ever_printed() -> None:
    url = "postgresql://ann:mellon@db.example/moria"
    settings = read_settings({**SLACK, "SLACK_SIGNING_SECRET": "swordfish", "HARE_KEY": "carrot", "DATABASE_URL": url})
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()} {settings.slack()!r}"
    assert not [word for word in ("rosebud", "sledge", "swordfish", "carrot", "mellon") if word in shown]


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"PORT": "http"}, "PORT must be a port number, 0 to 65535."),
        ({"PORT": "65536"}, "PORT must be a port number, 0 to 65535."),
        ({"PORT": "-1"}, "PORT must be a port number, 0 to 65535."),
        ({"PORT": "٣"}, "PORT must be a port number, 0 to 65535."),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL must be debug, info, warning or error."),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT must be console or json."),
        ({"SLACK_BOT_TOKEN": "xapp-1"}, "SLACK_BOT_TOKEN must be a bot token, which begins with xoxb-."),
        ({"SLACK_APP_TOKEN": "xoxb-1"}, "SLACK_APP_TOKEN must be an app-level token, which begins with xapp-."),
        ({"SLACK_API_URL": "slack.com/api"}, "SLACK_API_URL must be a URL such as https://slack.com/api/."),
        ({"SLACK_API_URL": "http://slack.com/api"}, "SLACK_API_URL must be https: the bot token is sent there."),
        ({"SLACK_API_URL": "https://[slack"}, "SLACK_API_URL must be a URL such as https://slack.com/api/."),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL must begin with sqlite:///, postgresql:// or postgres://."),
    ],
)
def test_each_problem_is_one_clear_sentence(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(environment)
    assert caught.value.problems == (sentence,)


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({"PORT": "x", "LOG_LEVEL": "x", "DATABASE_URL": "x"})
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("sqlite:///countersign.db", "sqlite+aiosqlite:///countersign.db"),
        ("sqlite:////var/lib/cs.db", "sqlite+aiosqlite:////var/lib/cs.db"),
        ("sqlite+aiosqlite:///x.db", "sqlite+aiosqlite:///x.db"),
        ("postgres://ann:pw@db/x", "postgresql+psycopg://ann:pw@db/x"),
        ("postgresql://ann:pw@db:5432/x?sslmode=require", "postgresql+psycopg://ann:pw@db:5432/x?sslmode=require"),
        ("postgresql+psycopg://db/x", "postgresql+psycopg://db/x"),
    ],
)
def test_a_plain_database_url_gets_its_async_driver(said: str, meant: str) -> None:
    assert async_database_url(said) == meant
    assert async_database_url(meant) == meant


@pytest.mark.parametrize(
    "said", ["sqlite://countersign.db", "sqlite:///a.db?cache=shared", "sqlite:///file:/d/a.db", "sqlite:///a.db?"]
)
def test_a_sqlite_address_is_three_slashes_and_a_path(said: str) -> None:
    with pytest.raises(SettingsError, match="sqlite:/// and a path"):
        async_database_url(said)


@pytest.mark.parametrize(
    "said",
    [
        "postgresql://u:Sekret@hunter2@db/x",
        "postgresql://u:p@db:abc/x",
        "postgresql://u:p@[::1/x",
        "postgres://u:p@db:99999/x",
    ],
)
def test_a_password_with_signs_of_an_address_is_asked_to_be_spelled_and_not_shown(said: str) -> None:
    with pytest.raises(SettingsError, match="%40") as refused:
        async_database_url(said)
    assert "Sekret" not in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("said", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite://?cache=shared"])
def test_a_database_in_memory_is_refused(said: str) -> None:
    with pytest.raises(SettingsError, match="forget accepted requests"):
        async_database_url(said)


@pytest.mark.parametrize(
    "said", ["mysql://ann:mellon@db/x", "countersign.db", "postgresql+asyncpg://ann:mellon@db/x", ""]
)
def test_a_refused_database_url_is_not_repeated(said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        async_database_url(said)
    assert "mellon" not in str(caught.value)


def test_slack_access_names_everything_that_is_missing() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({}).slack()
    assert [problem.split()[0] for problem in caught.value.problems] == ["SLACK_BOT_TOKEN", "Set"]


def test_an_app_token_means_socket_mode_and_a_signing_secret_http() -> None:
    assert read_settings(SLACK).slack().socket_mode
    assert (
        not read_settings({"SLACK_BOT_TOKEN": "xoxe.xoxb-1-x", "SLACK_SIGNING_SECRET": "swordfish"}).slack().socket_mode
    )


def test_a_worker_needs_the_bot_token_alone() -> None:
    assert read_settings({"SLACK_BOT_TOKEN": "xoxb-rosebud"}).slack(intake=False).app_token is None


def test_client_id_and_secret_are_ignored_on_purpose() -> None:
    settings = read_settings({**SLACK, "SLACK_CLIENT_ID": "1.2", "SLACK_CLIENT_SECRET": "mellon"})
    assert settings.slack().bot_token.get_secret_value() == "xoxb-rosebud"
    assert not [name for name in VARIABLES if "CLIENT" in name]


def test_another_database_can_be_named_and_the_keys_stay() -> None:
    settings = read_settings({"HARE_KEY": "carrot"}).with_database("postgres://db/x")
    assert settings.database_url.get_secret_value() == "postgresql+psycopg://db/x"
    assert settings.secret("HARE_KEY") is not None
