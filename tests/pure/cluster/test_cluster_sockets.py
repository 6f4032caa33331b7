"""Listening sockets: where, whose, and what is left of them."""

from __future__ import annotations

import os
import socket

import pytest

from rookery import BindFailed
from rookery._base.binds import parse_binds
from rookery.cluster.sockets import Listeners, listen


def opened(*binds, balance="shared", slots=2, **options):
    made = Listeners(parse_binds(list(binds)), balance=balance, backlog=64, unix_mode=None, **options)
    made.open(slots)
    return made


def test_shared_is_one_for_all():
    made = opened("127.0.0.1:0")
    assert made.of(0) is made.of(1)
    assert len(made.addresses(2)) == 1
    made.close()
    assert made.addresses(2) == []


def test_every_interface_by_both_protocols_and_one_port():
    made = opened(":0")
    hosts = {address.rpartition(":")[0]: address.rpartition(":")[2] for address in made.addresses(2)}
    made.close()
    assert "0.0.0.0" in hosts
    assert len(set(hosts.values())) == 1


def test_hash_is_one_for_each_slot_at_one_address():
    made = opened("127.0.0.1:0", balance="hash")
    assert made.of(0)[0].fileno() != made.of(1)[0].fileno()
    assert len(made.addresses(2)) == 1
    made.add(2)
    made.drop(2)
    made.drop(2)
    with pytest.raises(BindFailed):  # SO_REUSEPORT would let it in, unasked
        opened(made.addresses(1)[0], balance="hash")
    made.close()


def test_connections_wait_at_a_socket_that_nobody_serves():
    made = opened("127.0.0.1:0")
    with socket.create_connection(("127.0.0.1", made.of(0)[0].getsockname()[1])) as client:
        connection, _ = made.of(1)[0].accept()
        assert connection.getpeername() == client.getsockname()
        connection.close()
    made.close()


def test_a_unix_socket_that_nobody_listens_to_makes_room(tmp_path):
    path = tmp_path / "s"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    made = opened(f"unix:{path}")
    with pytest.raises(BindFailed, match="somebody listens there already"):
        opened(f"unix:{path}")
    made.close()
    assert not path.exists()


def test_a_file_is_no_socket(tmp_path):
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(BindFailed, match="no socket"):
        opened(f"unix:{path}")
    assert path.read_text() == "precious"


def test_the_socket_of_a_successor_stays(tmp_path):
    path = tmp_path / "s"
    made = opened(f"unix:{path}")
    path.unlink()
    path.write_text("somebody else's")
    made.close()
    assert path.exists()


def test_the_path_may_be_long(tmp_path):
    folder = tmp_path / ("x" * 90) / ("y" * 90)
    folder.mkdir(parents=True)
    made = opened(f"unix:{folder}/s")
    assert (folder / "s").is_socket()
    made.close()


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_the_mode_of_a_unix_socket(tmp_path, mode):
    before = os.umask(0o077)
    try:
        (sock,) = listen(parse_binds(f"unix:{tmp_path}/s")[0], backlog=1, unix_mode=mode)
    finally:
        os.umask(before)
    sock.close()
    assert (tmp_path / "s").stat().st_mode & 0o777 == mode


def test_where_it_cannot_listen():
    with pytest.raises(BindFailed, match=r"192\.0\.2\.1"):
        opened("192.0.2.1:0")
    with pytest.raises(BindFailed):
        opened("no.such.host.invalid:0")


def test_own_ports_are_only_known():
    made = opened("127.0.0.1:7000", balance="port", own_ports=True)
    assert made.of(0) == []
    assert made.port_of(3) == 7003
    assert made.addresses(2) == ["127.0.0.1:7000", "127.0.0.1:7001"]
    made.close()


def found_of(made):
    """The sockets of another, copied, for one that takes over."""
    return {
        place: [socket.socket(fileno=os.dup(sock.fileno())) for sock in sockets]
        for place, sockets in made.places().items()
    }


@pytest.mark.parametrize("balance", ["shared", "hash"])
def test_taken_over_from_another(balance):
    first = opened("127.0.0.1:0", balance=balance, reuse_port=True)
    address = first.addresses(2)
    second = opened("127.0.0.1:0", balance=balance, reuse_port=True, found=found_of(first))
    assert second.addresses(2) == address
    first.close()
    assert socket.create_connection(("127.0.0.1", int(address[0].rpartition(":")[2]))).close() is None
    second.close()


def test_taken_over_by_the_port_that_it_got():
    first = opened("127.0.0.1:0", reuse_port=True)
    (address,) = first.addresses(2)
    second = opened(address, reuse_port=True, found=found_of(first))
    assert second.addresses(2) == [address]
    first.close()
    second.close()


def test_what_was_found_and_is_not_wanted_is_closed():
    first = opened("127.0.0.1:0", reuse_port=True)
    port = int(first.addresses(2)[0].rpartition(":")[2])
    second = opened("127.0.0.2:0", found=found_of(first))
    first.close()
    second.forget_found()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    second.close()


def test_nobody_elses_port_is_joined_unless_that_is_asked_for():
    first = opened("127.0.0.1:0", reuse_port=True)
    (address,) = first.addresses(2)
    with pytest.raises(BindFailed, match="already in use"):
        opened(address, reuse_port=True)
    joined = opened(address, reuse_port=True, joins=True)
    assert joined.addresses(2) == [address]
    joined.close()
    first.close()


def test_a_port_for_each_slot_is_joined_too_but_only_while_taking_over():
    first = opened("127.0.0.1:0", balance="port", slots=1, reuse_port=True)
    (address,) = first.addresses(1)
    with pytest.raises(BindFailed, match="already in use"):
        opened(address, balance="port", slots=1, reuse_port=True)
    joined = opened(address, balance="port", slots=1, reuse_port=True, joins=True)
    assert joined.addresses(1) == [address]
    joined.forget_found()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stranger.bind(("127.0.0.1", joined.port_of(0) + 1))
        stranger.listen()
        with pytest.raises(BindFailed, match="already in use"):
            joined.add(1)
    joined.close()
    first.close()
