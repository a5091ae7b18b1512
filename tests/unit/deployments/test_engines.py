"""Addresses of Docker Engines: three forms, and nothing that could mean something else."""

from __future__ import annotations

import pytest

from deployments.domain import engines
from deployments.domain.engines import BadAddress, EngineAddress


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("unix:///var/run/docker.sock", EngineAddress("unix", path="/var/run/docker.sock")),
        ("tcp://10.0.0.7:2376", EngineAddress("tcp", "10.0.0.7", 2376)),
        ("tcp://docker.example.org:2376", EngineAddress("tcp", "docker.example.org", 2376)),
        ("tcp://[::1]:2375", EngineAddress("tcp", "::1", 2375)),
        ("ssh://10.0.0.7", EngineAddress("ssh", "10.0.0.7")),
        ("ssh://root@host-1:2222", EngineAddress("ssh", "host-1", 2222, "root")),
    ],
)
def test_each_form_is_understood(text: str, meant: EngineAddress) -> None:
    assert engines.parse(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0.7:2376",
        "http://10.0.0.7:2375",
        "unix://var/run/docker.sock",
        "unix:///var/run/docker sock",
        "tcp://10.0.0.7",
        "tcp://10.0.0.7:99999",
        "tcp://10.0.0.7:2376/v1.41",
        "tcp://user@10.0.0.7:2376",
        "tcp://:2376",
        "ssh://",
        "ssh://root:password@10.0.0.7",
        "ssh://10.0.0.7/run/docker.sock",
        "ssh://10.0.0.7?x=1",
        # Each of these would be an option of `ssh` if it came through.
        "ssh://-oProxyCommand=id",
        "ssh://-lroot@10.0.0.7",
        "ssh://root@-10.0.0.7",
        "ssh://ro$(id)ot@10.0.0.7",
        "ssh://10.0.0.7;id",
        "ssh://10.0.0.7\nProxyCommand id",
        "ssh://10.0.0.7\n",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        engines.parse(text)


@pytest.mark.parametrize(
    ("text", "here"),
    [
        ("unix:///var/run/docker.sock", True),
        ("tcp://127.0.0.1:2375", True),
        ("tcp://[::1]:2375", True),
        ("tcp://localhost:2375", True),
        ("tcp://10.0.0.7:2375", False),
        ("tcp://localhost.example.org:2375", False),
        ("ssh://127.0.0.1", False),  # may be a tunnel to anywhere
    ],
)
def test_only_what_is_on_this_machine_for_sure_is_here(text: str, here: bool) -> None:
    assert engines.parse(text).is_here is here


@pytest.mark.parametrize(
    ("publish", "engine", "possible"),
    [
        ("10.0.0.7", "tcp://10.0.0.7:2376", True),
        ("fd00::7", "ssh://host-1", True),
        ("127.0.0.1", "unix:///var/run/docker.sock", True),
        ("127.0.0.1", "tcp://10.0.0.7:2376", False),
        ("0.0.0.0", "tcp://10.0.0.7:2376", False),
        ("::", "unix:///var/run/docker.sock", False),
        ("224.0.0.1", "tcp://10.0.0.7:2376", False),
        ("host-1", "ssh://host-1", False),
        ("10.0.0.7:80", "tcp://10.0.0.7:2376", False),
        ("", "ssh://host-1", False),
    ],
)
def test_ports_are_published_on_one_address_that_gateways_reach(
    publish: str, engine: str, possible: bool
) -> None:
    problem = engines.publish_problem(publish, engines.parse(engine))
    assert (problem is None) is possible


def test_by_default_ports_are_published_where_the_engine_is_reached() -> None:
    found = [
        engines.publish_default(engines.parse(text))
        for text in ("unix:///var/run/docker.sock", "tcp://10.0.0.7:2376", "ssh://host-1")
    ]
    assert found == ["127.0.0.1", "10.0.0.7", ""]
