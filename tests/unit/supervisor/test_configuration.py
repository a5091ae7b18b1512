from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controlplane.config import load as settings_from
from controlplane.supervisor import leftovers, preflight, programs, store
from controlplane.supervisor.config import from_environment
from controlplane.supervisor.errors import CannotStart
from controlplane.supervisor.reporter import sentence

PASSWORD = "not-a-real-one"
JOINED = {"id": "gtw_01", "token_file": "/srv/token"}


def test_the_defaults_are_the_documented_ports() -> None:
    config = from_environment({})
    assert config.ports.named() == {
        "SLIPWAY_WEB_PORT": 8000,
        "SLIPWAY_GATEWAY_PORT_STAGING": 8080,
        "SLIPWAY_GATEWAY_PORT_PRODUCTION": 8081,
    }
    assert config.home == Path("var").resolve()


@pytest.mark.parametrize("value", ["0", "65536", "-1", "eighty", "8000 8001"])
def test_a_port_that_is_none_is_named_with_its_variable(value: str) -> None:
    with pytest.raises(CannotStart, match="SLIPWAY_GATEWAY_PORT_STAGING"):
        from_environment({"SLIPWAY_GATEWAY_PORT_STAGING": value})


def test_slipways_own_redis_variable_wins_over_the_general_one() -> None:
    both = {"REDIS_URL": "redis://a", "SLIPWAY_REDIS_URL": "redis://b"}
    assert from_environment(both).redis_url == "redis://b"


def test_no_disk_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    config = from_environment({"SLIPWAY_HOME": str(tmp_path)})
    with pytest.raises(CannotStart) as told:
        preflight.check_disk(config, free=lambda _: 499 * 1024**2)
    assert "499 MB free" in str(told.value)
    assert "SLIPWAY_HOME" in str(told.value)
    assert "\n" not in str(told.value)
    preflight.check_disk(config, free=lambda _: 500 * 1024**2)


def test_an_old_python_is_refused_with_the_remedy(tmp_path: Path) -> None:
    config = from_environment({"SLIPWAY_HOME": str(tmp_path)})
    with pytest.raises(CannotStart, match=r"3\.11 or newer and this is 3\.10"):
        preflight.check(config, version=(3, 10))


def test_a_given_redis_is_used_and_none_is_started(tmp_path: Path) -> None:
    config = from_environment({"SLIPWAY_HOME": str(tmp_path), "REDIS_URL": "redis://elsewhere/3"})
    chosen = store.choose(config, PASSWORD, which=lambda _: "/usr/bin/redis-server")
    assert (chosen.url, chosen.program) == ("redis://elsewhere/3", None)


def test_a_redis_of_the_machine_is_preferred_to_the_bundled_one(tmp_path: Path) -> None:
    config = from_environment({"SLIPWAY_HOME": str(tmp_path)})
    chosen = store.choose(
        config,
        PASSWORD,
        which=lambda name: f"/opt/{name}" if name == "valkey-server" else None,
        bundled=lambda: Path("/wheel/redis-server"),
    )
    assert chosen.program is not None
    assert chosen.program.command[0] == "/opt/valkey-server"


def test_the_bundled_redis_is_the_last_resort_and_without_it_one_line_helps(tmp_path: Path) -> None:
    config = from_environment({"SLIPWAY_HOME": str(tmp_path)})
    wheel = Path("/wheel/redis-server")
    chosen = store.choose(config, PASSWORD, which=lambda _: None, bundled=lambda: wheel)
    assert chosen.program is not None
    assert chosen.program.command[0] == str(wheel)
    with pytest.raises(CannotStart, match="apt-get install redis-server"):
        store.choose(config, PASSWORD, which=lambda _: None, bundled=lambda: None)


def test_the_redis_password_is_in_a_private_file_and_on_no_command_line(tmp_path: Path) -> None:
    config = from_environment({"SLIPWAY_HOME": str(tmp_path)})
    chosen = store.choose(config, PASSWORD, which=lambda name: f"/usr/bin/{name}")
    assert chosen.program is not None
    assert PASSWORD not in " ".join(chosen.program.command)
    written = Path(chosen.program.command[1])
    assert written.stat().st_mode & 0o077 == 0
    assert f"requirepass {PASSWORD}" in written.read_text()
    assert "bind 127.0.0.1" in written.read_text()


def test_the_redis_password_is_in_no_environment_either(tmp_path: Path) -> None:
    config = from_environment({"SLIPWAY_HOME": str(tmp_path)})
    chosen = store.choose(config, PASSWORD, which=lambda name: f"/usr/bin/{name}")
    environ = programs.shared_environment(config) | chosen.environ
    assert PASSWORD not in " ".join(environ.values())
    told = Path(environ["SLIPWAY_REDIS_URL_FILE"])
    assert told.stat().st_mode & 0o077 == 0
    assert settings_from(environ).redis_url == chosen.url


def test_a_redis_of_the_operator_is_passed_on_as_it_was_given(tmp_path: Path) -> None:
    config = from_environment({"SLIPWAY_HOME": str(tmp_path), "REDIS_URL": "redis://elsewhere/3"})
    chosen = store.choose(config, PASSWORD)
    assert chosen.environ == {"SLIPWAY_REDIS_URL": "redis://elsewhere/3"}


def test_a_new_home_is_for_its_owner_alone_and_so_is_an_old_database(tmp_path: Path) -> None:
    home = tmp_path / "home"
    config = from_environment({"SLIPWAY_HOME": str(home)})
    preflight.prepare_home(config)
    assert home.stat().st_mode & 0o077 == 0
    database = home / "db.sqlite3"
    database.touch(mode=0o644)
    preflight.prepare_home(config)
    assert database.stat().st_mode & 0o077 == 0


def test_what_starts_work_stops_before_what_serves_and_the_store_stops_last() -> None:
    config = from_environment({})
    order = [
        programs.worker(config).stop_stage,
        programs.collector(config).stop_stage,
        programs.gateway(config, "staging", JOINED).stop_stage,
        programs.web(config).stop_stage,
        programs.STOP_STORE,
    ]
    assert order == sorted(set(order))


def test_a_gateway_is_told_its_name_its_port_and_its_own_folder(tmp_path: Path) -> None:
    config = from_environment(
        {"SLIPWAY_HOME": str(tmp_path), "SLIPWAY_GATEWAY_PORT_PRODUCTION": "9191"}
    )
    command = programs.gateway(config, "production", JOINED).command
    assert command[command.index("--listen") + 1] == "127.0.0.1:9191"
    assert command[command.index("--node-id") + 1] == JOINED["id"]
    assert command[command.index("--state") + 1] == str(tmp_path / "gateways" / "production")


def test_a_replica_is_known_by_the_home_its_files_lie_in() -> None:
    home = Path("/srv/slipway")
    replica = ["python", "-m", "modelserver", "serve", "--announce", "/srv/slipway/replicas/r/a"]
    assert leftovers.belongs(home, replica, {})
    assert not leftovers.belongs(Path("/srv/slip"), replica, {})
    assert not leftovers.belongs(home, ["vim", "/srv/slipway/replicas/r/a"], {})


def test_a_program_is_known_by_the_mark_it_inherits() -> None:
    home = Path("/srv/slipway")
    assert leftovers.belongs(home, ["envoy"], {leftovers.MARK: "/srv/slipway"})
    assert not leftovers.belongs(home, ["envoy"], {leftovers.MARK: "/srv/other"})


def test_the_password_is_told_once_and_not_on_later_starts() -> None:
    event: dict[str, object] = {
        "event": "link",
        "url": "http://127.0.0.1:8000/x",
        "address": "http://127.0.0.1:8000",
        "username": "admin",
    }
    assert "sign in" not in sentence({**event, "password": None})
    assert "admin / hunter2" in sentence({**event, "password": "hunter2"})


def test_the_environment_names_the_settings_of_the_control_plane(tmp_path: Path) -> None:
    from controlplane.config import Config

    config = replace(from_environment({}), home=tmp_path)
    shared = programs.shared_environment(config)
    settings = {f"SLIPWAY_{name.upper()}" for name in Config.model_fields}
    assert {name for name in shared if name.startswith("SLIPWAY_")} <= settings


def test_a_fresh_start_wipes_what_a_fresh_start_made_and_nothing_else(tmp_path: Path) -> None:
    config = from_environment({"SLIPWAY_HOME": str(tmp_path)})
    preflight.prepare_home(config)
    preflight.wipe(config)
    (tmp_path / "db.sqlite3").write_text("yesterday's demo")
    (tmp_path / "artifacts").mkdir()
    preflight.wipe(config)
    assert not (tmp_path / "db.sqlite3").exists()
    assert not (tmp_path / "artifacts").exists()
    assert config.run.exists()


def test_a_fresh_start_refuses_a_home_with_real_data(tmp_path: Path) -> None:
    config = from_environment({"SLIPWAY_HOME": str(tmp_path)})
    (tmp_path / "db.sqlite3").write_text("somebody's work")
    with pytest.raises(CannotStart, match="another folder"):
        preflight.wipe(config)
    assert (tmp_path / "db.sqlite3").read_text() == "somebody's work"
