"""Settings come from the environment, and a bad one is refused by name."""

from pathlib import Path

import pytest

from service.settings import Settings, SettingsError


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.read({})
    assert settings == Settings()
    assert settings.amqp_url == "amqp://guest:guest@rabbitmq:5672/%2F"
    assert (settings.rpc_queue, settings.rpc_queue_type, settings.prefetch, settings.max_batch) == (
        "rpc_queue",
        "quorum",
        64,
        32,
    )
    assert (settings.max_characters, settings.on_erroneous_input, settings.drain_seconds) == (5000, "exit", 8.0)
    assert (settings.connect_deadline_seconds, settings.workers, settings.metrics_port) == (0.0, 1, None)


def test_every_setting_is_read_from_its_variable() -> None:
    settings = Settings.read(
        {
            "AMQP_URL": "amqps://u:p@broker:5671/vhost",
            "RPC_QUEUE": "other",
            "RPC_QUEUE_TYPE": "transient",
            "PREFETCH": "8",
            "MAX_BATCH": "4",
            "MAX_CHARACTERS": "100",
            "ON_ERRONEOUS_INPUT": "continue",
            "DRAIN_SECONDS": "2.5",
            "CONNECT_DEADLINE_SECONDS": "60",
            "WORKERS": "2",
            "METRICS_PORT": "9100",
            "MIN_SCORE": "0.5",
            "LOG_FORMAT": "text",
        }
    )
    assert settings == Settings(
        "amqps://u:p@broker:5671/vhost", "other", "transient", 8, 4, 100, "continue", 2.5, 60.0, 2, 9100, 0.5, "text"
    )
    assert settings.quarantine_queue == "other.quarantine"


def test_several_brokers_are_one_setting(tmp_path: Path) -> None:
    secret = tmp_path / "urls"
    secret.write_text("amqp://u:p@one/\namqp://u:p@two/\n", encoding="utf-8")
    assert Settings.read({"AMQP_URL_FILE": str(secret)}).amqp_url == "amqp://u:p@one/ amqp://u:p@two/"


def test_a_setting_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("amqp://u:secret@broker/\n", encoding="utf-8")
    assert Settings.read({"AMQP_URL_FILE": str(secret)}).amqp_url == "amqp://u:secret@broker/"


def test_a_file_that_can_not_be_read_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="AMQP_URL_FILE"):
        Settings.read({"AMQP_URL_FILE": str(tmp_path / "missing")})


def test_a_setting_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PREFETCH and PREFETCH_FILE"):
        Settings.read({"PREFETCH": "1", "PREFETCH_FILE": str(tmp_path)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AMQP_URL", "http://broker"),
        ("AMQP_URL", "amqp://"),
        ("AMQP_URL", "amqp://u:p@broker:port/"),
        ("AMQP_URL", "amqp://u:a/b@broker/"),
        ("AMQP_URL", "amqp://u:p@one,two/"),
        ("RPC_QUEUE", "q" * 300),
        ("RPC_QUEUE", "amq.mine"),
        ("RPC_QUEUE_TYPE", "stream"),
        ("PREFETCH", "0"),
        ("PREFETCH", "65536"),
        ("PREFETCH", "many"),
        ("PREFETCH", "1.5"),
        ("PREFETCH", "٣"),
        ("MAX_BATCH", "-1"),
        ("MAX_CHARACTERS", "0"),
        ("ON_ERRONEOUS_INPUT", "ignore"),
        ("DRAIN_SECONDS", "0"),
        ("DRAIN_SECONDS", "nan"),
        ("DRAIN_SECONDS", "inf"),
        ("DRAIN_SECONDS", "soon"),
        ("CONNECT_DEADLINE_SECONDS", "-1"),
        ("WORKERS", "0"),
        ("METRICS_PORT", "70000"),
        ("MIN_SCORE", "2"),
        ("MIN_SCORE", "-0.1"),
        ("MIN_SCORE", "nan"),
        ("MIN_SCORE", "half"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} ") as refusal:
        Settings.read({name: value})
    assert refusal.value.exit_code == 78


@pytest.mark.parametrize("name", ["THREADS", "THREADS_FILE"])
def test_a_setting_that_is_gone_is_refused_with_its_successor(name: str) -> None:
    with pytest.raises(SettingsError, match=r"^THREADS is gone.* WORKERS") as refusal:
        Settings.read({name: "2"})
    assert refusal.value.exit_code == 78
    assert Settings.read({name: ""}) == Settings()


def test_each_worker_has_its_share_of_requests_in_hand() -> None:
    assert Settings(prefetch=8, workers=3).in_hand == 24
    assert Settings(prefetch=65_535, workers=3).in_hand == 65_535


def test_bytes_that_are_not_utf_8_are_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"^RPC_QUEUE is not UTF-8"):
        Settings.read({"RPC_QUEUE": "\udcff"})


def test_no_message_and_no_representation_holds_the_password() -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.read({"AMQP_URL": "amqp://user:hunter2@broker:port/"})
    assert "hunter2" not in str(refusal.value)
    assert "hunter2" not in repr(Settings.read({"AMQP_URL": "amqp://user:hunter2@broker/"}))
