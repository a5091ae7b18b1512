"""Slipway's embedded stack from nothing to ready, and back to nothing."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from controlplane.supervisor import containers, health, leftovers, preflight, programs, store
from controlplane.supervisor.child import Child, last_line
from controlplane.supervisor.config import ENVIRONMENTS, StackConfig
from controlplane.supervisor.errors import CannotStart, Stopped
from controlplane.supervisor.fleet import Fleet
from controlplane.supervisor.guard import Guard
from controlplane.supervisor.lock import HomeLock
from controlplane.supervisor.policy import Liveness
from controlplane.supervisor.reporter import Reporter
from core.keys import KeyStore

_TURN = 0.03
_START_LIMIT = 60.0
_SOON = 10.0


class Stack:
    """One run of it. All of it happens in the thread that calls `run`: the main one."""

    def __init__(
        self,
        config: StackConfig,
        reporter: Reporter,
        *,
        keep_on: Callable[[], bool] = lambda: True,
        fresh: bool = False,
    ) -> None:
        self._config = config
        self._reporter = reporter
        self._keep_on = keep_on
        self._fresh = fresh
        self._stop_asked = False
        self._began = time.monotonic()
        self._liveness = Liveness()

    def run(self) -> int:
        """Until a signal, or `keep_on` says no. Raises CannotStart with nothing left running."""
        preflight.check(self._config)
        with HomeLock(self._config.run).take(self._config.web_url):
            self._clear_leftovers()
            preflight.check_ports(self._config)
            if self._fresh:
                containers.wipe(self._config.home)
                preflight.wipe(self._config)
            containers.remember(self._config)
            redis = store.choose(
                self._config, KeyStore(self._config.home / "secrets").text("redis")
            )
            self._fleet = self._make_fleet(redis)
            guard = Guard(self._config.home, programs.root())
            previous = {
                number: signal.signal(number, self._on_signal)
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
            }
            try:
                self._start(redis)
                self._watch()
            except Stopped:
                pass
            finally:
                self._stop()
                guard.dismiss()
                for number, handler in previous.items():
                    signal.signal(number, handler)
        return 0

    # --- start: what a person waits for comes first -------------------------------------------

    def _start(self, redis: store.Store) -> None:
        if redis.program:
            self._fleet.start(redis.program)
        migrate = self._manage("migrate", "--noinput", "-v", "0")
        static = self._manage(*programs.COLLECT_STATIC)
        self._wait_for(lambda: store.answers(redis.url), "redis")
        self._step("redis", redis.described)
        self._finish("migrate", migrate)
        self._finish("collectstatic", static)
        self._step("data", f"data in {self._config.home}")

        self._open_page()
        self._join_gateways()
        # Before it is said: whoever hears it may look at once.
        self._write_state()
        self._reporter.say("ready", seconds=self._elapsed(), **self._addresses())

    def _open_page(self) -> None:
        """The login link as soon as it works; the programs behind the page may take longer."""
        web = programs.web(self._config)
        self._fleet.start(web)
        admin = self._result("bootstrap_admin", self._manage("bootstrap_admin", "--token"))
        self._wait_for(lambda: health.get_status(web.ready_url) == 200, "web", web.name)
        self._step("web", f"web on {self._config.web_url}")
        self._reporter.say(
            "link",
            url=f"{self._config.web_url}{admin['login_path']}",
            address=self._config.web_url,
            seconds=self._elapsed(),
            **{key: admin.get(key) for key in ("username", "password", "token")},
        )

    def _join_gateways(self) -> None:
        """Gateways need their tokens, and the rest of the programs need the gateways' rows."""
        self._fleet.start(programs.worker(self._config))
        arguments = programs.join_gateways(self._config)
        joined = self._result(arguments[0], self._manage(*arguments))["gateways"]
        gateways = [programs.gateway(self._config, name, joined[name]) for name in ENVIRONMENTS]
        for program in (*gateways, programs.collector(self._config), programs.beat(self._config)):
            self._fleet.start(program)
        for gateway in gateways:
            url = gateway.ready_url
            self._wait_for(lambda url=url: health.get_status(url) == 200, gateway.name)  # type: ignore[misc]
        self._wait_a_while(lambda: health.is_complete(programs.web(self._config).ready_url))
        self._step("programs", "worker · beat · collector · a gateway for each environment")

    def _manage(self, *arguments: str) -> Child:
        # Checks load every page and view, which costs each command a second and checks nothing new.
        return self._fleet.run_once(arguments[0], programs.manage(*arguments, "--skip-checks"))

    def _finish(self, name: str, child: Child) -> None:
        self._wait_for(lambda: child.exit_code() is not None, name)
        if child.exit_code() != 0:
            log = self._fleet.log(name)
            raise CannotStart(f"{name} failed: {last_line(log) or 'no message'} (see {log})")

    def _result(self, name: str, child: Child) -> dict[str, Any]:
        """The object that a management command prints as its last line.

        It may hold a password, so its log is emptied at once.
        """
        self._finish(name, child)
        log = self._fleet.log(name)
        line = log.read_text().strip().rpartition("\n")[2]
        log.write_text("")
        result: dict[str, Any] = json.loads(line)
        return result

    def _wait_for(self, condition: Callable[[], bool], what: str, program: str = "") -> None:
        """Looks after all programs meanwhile. Raises Stopped as soon as a stop was asked for."""
        began = time.monotonic()
        while not condition():
            if self._stop_asked or not self._keep_on():
                raise Stopped
            if time.monotonic() - began > _START_LIMIT:
                log = self._fleet.log(program or what)
                raise CannotStart(
                    f"{what} is not ready after {_START_LIMIT:.0f} s:"
                    f" {last_line(log) or 'it said nothing'} (see {log})"
                )
            self._fleet.tick()
            time.sleep(_TURN)

    def _wait_a_while(self, condition: Callable[[], bool]) -> None:
        """For what should come soon and is no reason to give up: `/readyz` goes on telling."""
        deadline = time.monotonic() + _SOON
        self._wait_for(lambda: condition() or time.monotonic() > deadline, "web")

    # --- while it runs ------------------------------------------------------------------------

    def _watch(self) -> None:
        web = programs.web(self._config)
        watch = health.Watch({web.name: web.alive_url})
        watch.start()
        seen = self._fleet.state()
        try:
            while not self._stop_asked and self._keep_on():
                self._fleet.tick()
                self._fleet.end_hanging(self._liveness, watch.answered_at)
                if (now := self._fleet.state()) != seen:
                    seen = now
                    self._write_state()
                time.sleep(_TURN)
        finally:
            watch.stop()

    def _write_state(self) -> None:
        self._fleet.write_state(self._config.run / "state.json", **self._addresses())

    def _addresses(self) -> dict[str, object]:
        gateways = {
            name: f"http://127.0.0.1:{port}" for name, port in self._config.ports.gateways.items()
        }
        return {"web_url": self._config.web_url, "gateways": gateways}

    # --- stop ---------------------------------------------------------------------------------

    def _stop(self) -> None:
        began = time.monotonic()
        self._reporter.say("stopping")
        self._fleet.stop(after_stage=self._end_replicas)
        leftovers.end(self._config.home)
        (self._config.run / "state.json").unlink(missing_ok=True)
        self._reporter.say("stopped", seconds=round(time.monotonic() - began, 2))

    def _end_replicas(self, stage: int) -> None:
        """Once no gateway sends them anything there is nothing left to drain."""
        if stage == programs.STOP_SERVING:
            leftovers.end(self._config.home, leftovers.is_replica, grace=1.0)
            containers.end(self._config.home)

    def _clear_leftovers(self) -> None:
        if count := leftovers.end(self._config.home) + containers.end(self._config.home):
            self._step("leftovers", f"ended {count} programs that an earlier run had left")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop_asked = True

    # --- telling ------------------------------------------------------------------------------

    def _make_fleet(self, redis: store.Store) -> Fleet:
        environ = programs.shared_environment(self._config) | redis.environ
        return Fleet(
            folder=programs.root(),
            logs=self._config.logs,
            environ={**environ, leftovers.MARK: str(self._config.home)},
            reporter=self._reporter,
            log_cap=self._config.log_cap_bytes,
        )

    def _step(self, name: str, text: str) -> None:
        self._reporter.say("step", name=name, text=text, seconds=self._elapsed())

    def _elapsed(self) -> float:
        return round(time.monotonic() - self._began, 2)
