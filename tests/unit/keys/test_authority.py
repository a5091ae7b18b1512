from __future__ import annotations

import ssl
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core import clock, pki
from core.errors import Broken, Invalid
from core.pki import Authority, WrongPeer
from tests.unit.keys import handshakes
from wire import identity

REPLICA = identity.replica("staging", "rel_1", "rep_1")
OTHER = identity.replica("staging", "rel_1", "rep_2")
GATEWAY = identity.gateway("staging", "gtw_1")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "secrets")


@pytest.fixture
def mallory(tmp_path: Path) -> Authority:
    """An authority of Mallory's own, which gives away every name."""
    return Authority(tmp_path / "mallory")


@pytest.fixture
def noon() -> Iterator[list[datetime]]:
    """The time, which a test moves by replacing its only entry."""
    times = [datetime.now(UTC)]
    with clock.at(lambda: times[0]):
        yield times


def read(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def san(pem: str) -> x509.SubjectAlternativeName:
    return read(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def purposes(pem: str) -> set[x509.ObjectIdentifier]:
    return set(read(pem).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


# --- the authority itself ---------------------------------------------------------------------


def test_the_authority_is_made_once_and_its_key_is_for_its_user_only(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    first = Authority(folder).pem
    assert Authority(folder).pem == first
    assert stat.S_IMODE((folder / "ca.key").stat().st_mode) == 0o600
    assert {path.name for path in folder.iterdir()} == {"ca.key", "ca.pem"}
    assert "PRIVATE" not in first


def test_several_that_begin_at_once_agree_on_one_authority(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Authority(tmp_path / "secrets").pem, range(32)))
    assert len(set(made)) == 1
    assert len(list((tmp_path / "secrets").iterdir())) == 2


def test_an_authority_certifies_nobody_else_to_certify(authority: Authority) -> None:
    basics = read(authority.pem).extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (basics.ca, basics.path_length) == (True, 0)
    leaf = read(authority.issue(REPLICA, hours=1).certificate)
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_an_authority_lasts_ten_years(authority: Authority) -> None:
    left = read(authority.pem).not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=3649) < left < timedelta(days=3651)


def test_a_key_that_others_can_read_is_not_used(authority: Authority, tmp_path: Path) -> None:
    assert authority.pem
    (tmp_path / "secrets" / "ca.key").chmod(0o640)
    with pytest.raises(Broken, match="0600"):
        Authority(tmp_path / "secrets").issue(REPLICA, hours=1)


@pytest.mark.parametrize("name", ["ca.key", "ca.pem"])
def test_a_file_that_holds_something_else_is_said_to(
    authority: Authority, tmp_path: Path, name: str
) -> None:
    assert authority.pem
    (tmp_path / "secrets" / name).write_text("not a key")
    with pytest.raises(Broken, match=name):
        Authority(tmp_path / "secrets").issue(REPLICA, hours=1)


def test_a_certificate_of_another_key_is_said_to_be(
    authority: Authority, mallory: Authority, tmp_path: Path
) -> None:
    assert authority.pem
    (tmp_path / "secrets" / "ca.pem").write_text(mallory.pem)
    with pytest.raises(Broken) as caught:
        Authority(tmp_path / "secrets").issue(REPLICA, hours=1)
    assert caught.value.stable_code == "keys:mismatch"


# --- what it issues ---------------------------------------------------------------------------


def test_a_certificate_carries_exactly_one_uri(authority: Authority) -> None:
    made = authority.issue(REPLICA, hours=1, names=["models.example.org", "10.0.0.7", "::1"])
    names = san(made.certificate)
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [REPLICA]
    assert names.get_values_for_type(x509.DNSName) == ["models.example.org"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.7", "::1"]


def test_the_key_is_on_the_curve_that_envoy_takes(authority: Authority) -> None:
    key = read(authority.issue(GATEWAY, hours=1).certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"


def test_a_certificate_is_good_for_its_hours_and_a_little_before(
    authority: Authority, noon: list[datetime]
) -> None:
    made = read(authority.issue(REPLICA, hours=72).certificate)
    assert made.not_valid_after_utc == noon[0].replace(microsecond=0) + timedelta(hours=72)
    assert noon[0] - made.not_valid_before_utc >= timedelta(minutes=10)


def test_replicas_only_answer_the_control_plane_only_asks_and_gateways_do_both(
    authority: Authority,
) -> None:
    server, client = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
    for name, expected in {
        REPLICA: {server},
        identity.WEB: {server},
        identity.CONTROL_PLANE: {client},
        GATEWAY: {server, client},
    }.items():
        assert purposes(authority.issue(name, hours=1).certificate) == expected, name


def test_only_names_of_slipways_are_issued(authority: Authority) -> None:
    for name in ("", "spiffe://elsewhere/control-plane", "https://slipway/"):
        with pytest.raises(ValueError, match="no identity"):
            authority.issue(name, hours=1)


def test_the_key_of_a_certificate_does_not_show_in_its_repr(authority: Authority) -> None:
    assert "PRIVATE" not in repr(authority.issue(REPLICA, hours=1))


def test_an_end_can_be_told_as_seconds(authority: Authority, noon: list[datetime]) -> None:
    made = authority.issue(REPLICA, hours=2).certificate
    assert pki.expires_at(made) == int((noon[0] + timedelta(hours=2)).timestamp())


def test_a_certificate_is_due_once_a_third_of_its_time_has_passed(
    authority: Authority, noon: list[datetime]
) -> None:
    made = authority.issue(REPLICA, hours=72).certificate
    der = read(made).public_bytes(Encoding.DER)
    assert not pki.is_due(made, noon[0] + timedelta(hours=23, minutes=59))
    assert pki.is_due(made, noon[0] + timedelta(hours=24))
    assert pki.is_due(der, noon[0] + timedelta(hours=24))


# --- what it signs for others -----------------------------------------------------------------


def request(key: object, name: str = "anything") -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    wishes = x509.SubjectAlternativeName(
        [x509.UniformResourceIdentifier(identity.CONTROL_PLANE), x509.DNSName("bank.example.org")]
    )
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    made = builder.add_extension(wishes, critical=False).sign(key, digest)  # type: ignore[arg-type]
    return made.public_bytes(Encoding.PEM).decode()


def test_of_a_request_only_the_key_counts(authority: Authority) -> None:
    """A gateway that asks to be the control plane gets a certificate as the gateway it is."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = authority.sign(request(key), GATEWAY, hours=1)
    names = san(made)
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [GATEWAY]
    assert names.get_values_for_type(x509.DNSName) == []
    assert read(made).public_key() == key.public_key()


@pytest.mark.parametrize(
    "csr",
    [
        "",
        "no request",
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END",
        "x" * 30_000,
        "\ud800",
    ],
)
def test_what_is_no_request_is_refused(authority: Authority, csr: str) -> None:
    with pytest.raises(Invalid) as caught:
        authority.sign(csr, GATEWAY, hours=1)
    assert caught.value.stable_code == "certificate:bad-request"


def test_keys_of_another_kind_are_refused(authority: Authority) -> None:
    for key in (
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
    ):
        with pytest.raises(Invalid):
            authority.sign(request(key), GATEWAY, hours=1)


def test_a_request_whose_signature_was_changed_is_refused(authority: Authority) -> None:
    der = bytearray(
        x509.load_pem_x509_csr(
            request(ec.generate_private_key(ec.SECP256R1())).encode()
        ).public_bytes(Encoding.DER)
    )
    der[-1] ^= 1
    changed = ssl.DER_cert_to_PEM_cert(bytes(der)).replace("CERTIFICATE", "CERTIFICATE REQUEST")
    with pytest.raises(Invalid):
        authority.sign(changed, GATEWAY, hours=1)


def test_a_replica_keeps_its_key_when_its_certificate_is_renewed(authority: Authority) -> None:
    first = authority.issue(REPLICA, hours=1)
    der = read(first.certificate).public_bytes(Encoding.DER)
    second = authority.renew(der, REPLICA, hours=72)
    assert read(second).public_key() == read(first.certificate).public_key()
    assert read(second).serial_number != read(first.certificate).serial_number
    assert san(second).get_values_for_type(x509.UniformResourceIdentifier) == [REPLICA]


# --- who answers and who asks -----------------------------------------------------------------


def test_the_control_plane_and_its_replica_know_each_other(authority: Authority) -> None:
    server = handshakes.server(authority.issue(REPLICA, hours=1), authority.pem)
    assert handshakes.shake(server, authority.context_for(REPLICA)) == (
        identity.CONTROL_PLANE,
        REPLICA,
    )
    assert handshakes.shake(server, authority.client_context())[1] == REPLICA


def test_a_replica_whose_port_another_one_got_is_not_taken_for_it(authority: Authority) -> None:
    server = handshakes.server(authority.issue(OTHER, hours=1), authority.pem)
    with pytest.raises(WrongPeer, match="rep_2 answered, not"):
        handshakes.shake(server, authority.context_for(REPLICA))


def test_whoever_was_not_meant_is_named() -> None:
    shown = {"subjectAltName": (("URI", REPLICA), ("DNS", "a.example.org"))}
    pki.require_peer(shown, REPLICA)
    for wrong in (
        {"subjectAltName": (("URI", OTHER),)},
        {"subjectAltName": (("DNS", REPLICA),)},
        {"subjectAltName": (("URI", REPLICA), ("URI", OTHER))},
        {},
        None,
    ):
        with pytest.raises(WrongPeer):
            pki.require_peer(wrong, REPLICA)


def test_a_server_of_another_authority_is_refused_whatever_its_name(
    authority: Authority, mallory: Authority
) -> None:
    server = handshakes.server(mallory.issue(REPLICA, hours=1), authority.pem)
    for context in (authority.context_for(REPLICA), authority.client_context()):
        with pytest.raises(ssl.SSLCertVerificationError):
            handshakes.shake(server, context)


def test_a_clients_certificate_is_not_taken_from_a_server(authority: Authority) -> None:
    """Mallory, who got hold of the control plane's certificate, cannot stand in for a replica."""
    server = handshakes.server(authority.issue(identity.CONTROL_PLANE, hours=1), authority.pem)
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        handshakes.shake(server, authority.client_context())


def test_nobody_else_gets_past_the_handshake_of_a_replica(
    authority: Authority, mallory: Authority, tmp_path: Path
) -> None:
    server = handshakes.server(authority.issue(REPLICA, hours=1), authority.pem)
    past = Authority(tmp_path / "secrets", now=lambda: clock.now() - timedelta(hours=3))
    for shown in (
        None,
        mallory.issue(identity.CONTROL_PLANE, hours=1),
        mallory.issue(GATEWAY, hours=1),
        authority.issue(OTHER, hours=1),  # a replica may answer and not ask
        authority.issue(identity.WEB, hours=1),
        past.issue(identity.CONTROL_PLANE, hours=2),  # expired
    ):
        with pytest.raises(ssl.SSLError):
            handshakes.shake(server, handshakes.client(authority.pem, shown))


def test_the_control_planes_own_certificate_is_renewed_by_itself(
    authority: Authority, noon: list[datetime]
) -> None:
    noon[0] -= timedelta(hours=9)  # OpenSSL looks at the real clock: end there
    context = authority.client_context()
    before = authority._own
    noon[0] += timedelta(hours=7)
    assert authority.client_context() is context
    assert authority._own is before
    noon[0] += timedelta(hours=2)
    assert authority.client_context() is context
    assert authority._own is not before


def test_a_renewed_certificate_is_shown_whoever_noticed_that_it_was_due(
    authority: Authority, noon: list[datetime]
) -> None:
    noon[0] -= timedelta(hours=25)
    context = authority.client_context()
    noon[0] += timedelta(hours=25)
    authority.context_for(OTHER)
    server = handshakes.server(authority.issue(REPLICA, hours=24), authority.pem)
    # The first one has expired: this fails unless the new one is shown.
    assert handshakes.shake(server, context)[0] == identity.CONTROL_PLANE


def test_nothing_of_the_control_planes_own_certificate_is_on_disk(
    authority: Authority, tmp_path: Path
) -> None:
    authority.client_context()
    assert {path.name for path in (tmp_path / "secrets").iterdir()} == {"ca.key", "ca.pem"}


def test_who_could_not_be_renewed_in_time_is_still_known_but_for_nothing_else(
    authority: Authority, tmp_path: Path
) -> None:
    past = Authority(tmp_path / "secrets", now=lambda: clock.now() - timedelta(hours=3))
    assert past.pem == authority.pem
    server = handshakes.server(past.issue(REPLICA, hours=2), authority.pem)
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        handshakes.shake(server, authority.client_context())
    assert handshakes.shake(server, authority.client_context(even_expired=True))[1] == REPLICA
