"""Who gets past the gRPC port: the gateways of its environment and the control plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from core import clock
from core.pki import Authority, Issued
from modelserver.pb import inference_pb2 as pb
from tests.contract.modelserver.grpc_harness import INFER, SECONDS, Served, refusal, served
from tests.unit.modelserver.fakes import Adder, plane_for
from wire import identity
from wire.manifest import ReplicaTls

GATEWAY = identity.gateway("staging", "gtw_1")
REPLICA = identity.replica("staging", "rel_1", "rep_1")
BODY = pb.ModelInferRequest(
    model_name="tumour",
    inputs=[
        {
            "name": "X",
            "datatype": "FP32",
            "shape": [1, 3],
            "contents": {"fp32_contents": [1, 2, 4]},
        }
    ],
).SerializeToString()


@dataclass
class Locked:
    """A server that shows what `shown` is at the time, and asks for certificates."""

    authority: Authority
    shown: ReplicaTls
    served: Served = field(init=False)

    def renew(self) -> str:
        """Returns the new certificate, for another key."""
        self.shown = tls(self.authority)
        return self.shown.certificate

    def ask(self, bearer: Issued | None) -> bytes:
        given: dict[str, Any] = {"root_certificates": self.authority.pem.encode()}
        if bearer is not None:
            given |= {
                "private_key": bearer.key.encode(),
                "certificate_chain": bearer.certificate.encode(),
            }
        return self._ask(grpc.ssl_channel_credentials(**given))

    def _ask(self, credentials: grpc.ChannelCredentials) -> bytes:
        # Without a pool of its own a channel would be given the connection of the one before.
        options = [("grpc.use_local_subchannel_pool", 1)]
        address = f"127.0.0.1:{self.served.port}"
        with grpc.secure_channel(address, credentials, options=options) as channel:
            answer: bytes = channel.unary_unary(INFER)(BODY, timeout=SECONDS)
        return answer


def tls(authority: Authority) -> ReplicaTls:
    own = authority.issue(REPLICA, hours=1, names=["127.0.0.1"])
    return ReplicaTls(own.certificate, own.key, authority.pem)


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Locked]:
    authority = Authority(tmp_path / "ours")
    it = Locked(authority, tls(authority))
    plane = plane_for(Adder())
    with served(plane, tls=lambda: it.shown, environment="staging") as it.served:
        yield it


@pytest.mark.parametrize("name", [GATEWAY, identity.CONTROL_PLANE])
def test_gateways_and_the_control_plane_are_answered(locked: Locked, name: str) -> None:
    assert locked.ask(locked.authority.issue(name, hours=1))


def test_a_gateway_of_another_environment_is_refused(locked: Locked) -> None:
    stranger = locked.authority.issue(identity.gateway("production", "gtw_2"), hours=1)
    status, _, _ = refusal(lambda: locked.ask(stranger))
    assert status == grpc.StatusCode.PERMISSION_DENIED
    assert locked.served.report().counts.refused == {"peer:forbidden": 1}


def no_certificate(ours: Authority, folder: Path) -> Issued | None:
    return None


def of_a_foreign_authority(ours: Authority, folder: Path) -> Issued:
    return Authority(folder / "foreign").issue(GATEWAY, hours=1)


def expired(ours: Authority, folder: Path) -> Issued:
    return Authority(folder / "ours", now=lambda: clock.now() - timedelta(hours=3)).issue(
        GATEWAY, hours=1
    )


def of_another_replica(ours: Authority, folder: Path) -> Issued:
    return ours.issue(identity.replica("staging", "rel_1", "rep_2"), hours=1)


@pytest.mark.parametrize(
    "forged", [no_certificate, of_a_foreign_authority, expired, of_another_replica]
)
def test_nobody_else_gets_past_the_handshake(locked: Locked, tmp_path: Path, forged: Any) -> None:
    """Nothing of them reaches what counts requests."""
    bearer = forged(locked.authority, tmp_path)
    status, _, _ = refusal(lambda: locked.ask(bearer))
    assert status == grpc.StatusCode.UNAVAILABLE
    assert locked.served.report().counts.total_requests == 0


def test_plain_text_is_not_understood(locked: Locked) -> None:
    status, _, _ = refusal(lambda: locked.served.send(INFER, BODY))
    assert status == grpc.StatusCode.UNAVAILABLE


def test_a_renewed_certificate_is_shown_from_then_on(locked: Locked) -> None:
    import ssl

    bearer = locked.authority.issue(GATEWAY, hours=1)
    address = ("127.0.0.1", locked.served.port)
    first = ssl.get_server_certificate(address, timeout=SECONDS)
    assert first.split() == locked.shown.certificate.split()
    renewed = locked.renew()
    assert ssl.get_server_certificate(address, timeout=SECONDS).split() == renewed.split()
    assert locked.ask(bearer)
