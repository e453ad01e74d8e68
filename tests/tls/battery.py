"""Says to an https:// listener what no client should, byte by byte, and looks how it is refused.

Usage: battery.py PORT

Each case has a connection of its own and ends in one word: the alert that came, `closed`, or
`served` if a request was answered all the same. One line a case; the exit status is 1 if any of
them is not what the RFCs ask for.
"""

import os
import socket
import struct
import sys

from tlslite.api import HandshakeSettings, TLSConnection
from tlslite.constants import AlertDescription, CipherSuite, ContentType, GroupName
from tlslite.constants import SignatureScheme
from tlslite.errors import TLSAbruptCloseError, TLSLocalAlert, TLSRemoteAlert
from tlslite.extensions import ALPNExtension, ClientKeyShareExtension, KeyShareEntry
from tlslite.extensions import SignatureAlgorithmsExtension, SNIExtension, TLSExtension
from tlslite.extensions import SupportedGroupsExtension, SupportedVersionsExtension
from tlslite.handshakesettings import HandshakeSettings
from tlslite.messages import Alert, Certificate, ChangeCipherSpec, ClientHello, Finished
from tlslite.messages import HelloRequest, KeyUpdate, Message

PORT = int(sys.argv[1])
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
HANDSHAKE, ALERT, DATA, CCS = 22, 21, 23, 20
P256 = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)


def connect():
    sock = socket.create_connection(("127.0.0.1", PORT), timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def record(kind, payload, version=b"\x03\x03"):
    return bytes([kind]) + version + struct.pack(">H", len(payload)) + payload


def alert_name(number):
    return AlertDescription.toStr(number)


def outcome_in_the_clear(sock):
    """The first alert, or the first words, of a server that encrypts nothing yet."""
    came = b""
    try:
        while True:
            more = sock.recv(65536)
            if not more:
                break
            came += more
    except (ConnectionError, socket.timeout) as error:
        if isinstance(error, socket.timeout):
            return "silent"
    kind, length = 0, 0
    while len(came) >= 5:
        if came.startswith(b"HTTP/1.1 "):
            return "HTTP " + came[9:12].decode()
        kind, length = came[0], struct.unpack(">H", came[3:5])[0]
        payload, came = came[5 : 5 + length], came[5 + length :]
        if kind == ALERT and length == 2:
            return alert_name(payload[1])
        if kind not in (HANDSHAKE, CCS, DATA):
            return "nonsense"
    # TLS 1.3 seals an alert behind its ServerHello: two bytes, their kind, the tag.
    return "a sealed alert" if (kind, length) == (DATA, 19) else "closed"


def says(*pieces):
    """These bytes, each piece in a write of its own, and the rest is silence."""

    def case():
        sock = connect()
        try:
            for piece in pieces:
                sock.sendall(piece)
            sock.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass
        return outcome_in_the_clear(sock)

    return case


SUITES_13 = [CipherSuite.TLS_AES_128_GCM_SHA256, CipherSuite.TLS_AES_256_GCM_SHA384]
SUITES_12 = [CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]
SIGNS = [SignatureScheme.ecdsa_secp256r1_sha256, SignatureScheme.rsa_pss_rsae_sha256]


def hello(
    suites=None,
    versions=((3, 4), (3, 3)),
    groups=(GroupName.secp256r1,),
    signs=tuple(SIGNS),
    share=P256,
    share_group=GroupName.secp256r1,
    alpn=(b"http/1.1",),
    version=(3, 3),
    more=(),
    compression=(0,),
):
    """A ClientHello as a handshake message, good unless something is said otherwise."""
    extensions = [SNIExtension().create(b"localhost")]
    if versions:
        extensions.append(SupportedVersionsExtension().create(list(versions)))
    if groups:
        extensions.append(SupportedGroupsExtension().create(list(groups)))
    if signs:
        extensions.append(SignatureAlgorithmsExtension().create(list(signs)))
    if share is not None:
        entry = KeyShareEntry().create(share_group, bytearray(share))
        extensions.append(ClientKeyShareExtension().create([entry]))
    if alpn:
        extensions.append(ALPNExtension().create([bytearray(name) for name in alpn]))
    extensions.extend(more)
    message = ClientHello().create(
        version,
        bytearray(os.urandom(32)),
        bytearray(32),
        list(suites or SUITES_13 + SUITES_12),
        extensions=extensions,
    )
    message.compression_methods = list(compression)
    return bytes(message.write())


def sends_hello(message, header=b"\x03\x01"):
    return says(record(HANDSHAKE, message, header))


def with_length(message, length):
    """The same message, whose header says that it is so long."""
    return message[:1] + struct.pack(">I", length)[1:] + message[4:]


class Tampering:
    """A socket whose writes are changed once `change` is set."""

    def __init__(self, sock):
        self.sock, self.change = sock, None

    def send(self, data):
        whole = len(data)
        if self.change:
            data = self.change(bytes(data))
        self.sock.sendall(data)
        return whole

    def __getattr__(self, name):
        return getattr(self.sock, name)


def shaken(version, sock=None):
    """A connection that has shaken hands."""
    tampering = Tampering(sock or connect())
    connection = TLSConnection(tampering)
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = version
    connection.handshakeClientCert(
        settings=settings, serverName="localhost", alpn=[bytearray(b"http/1.1")]
    )
    connection.closeSocket = False
    return connection, tampering


def all_of(generator):
    for _ in generator:
        pass


def outcome(connection):
    """Ask, and see what becomes of it."""
    try:
        connection.write(REQUEST)
        answer = bytes(connection.read(min=12))
    except TLSRemoteAlert as alert:
        return alert_name(alert.description)
    except TLSLocalAlert as alert:
        return "we object: " + str(alert)
    except (TLSAbruptCloseError, ConnectionError):
        return "closed"
    except socket.timeout:
        return "silent"
    return "served" if answer.startswith(b"HTTP/1.1 200") else "closed" if not answer else "HTTP"


def after(version, act):
    """Shake hands, do this, then ask."""

    def case():
        connection, tampering = shaken(version)
        try:
            act(connection, tampering)
        except (TLSAbruptCloseError, ConnectionError):
            pass
        return outcome(connection)

    return case


def sends(message):
    return lambda connection, _: all_of(connection._sendMsg(message, False, False))


def sends_record(kind, payload):
    """One record, whatever its size."""
    message = Message(kind, bytearray(payload))
    return lambda connection, _: all_of(connection._recordLayer.sendRecord(message))


def raw(*records):
    def act(_, tampering):
        for bytes_ in records:
            tampering.sock.sendall(bytes_)

    return act


def changes(change):
    def act(_, tampering):
        tampering.change = change

    return act


def during(version, message_class, change):
    """Shake hands with every message of this class changed on its way out."""

    def case():
        original = message_class.write

        def write(self):
            return bytearray(change(bytes(original(self))))

        message_class.write = write
        try:
            connection, _ = shaken(version)
            message_class.write = original
            return outcome(connection)
        except TLSRemoteAlert as alert:
            return alert_name(alert.description)
        except (TLSAbruptCloseError, ConnectionError):
            return "closed"
        finally:
            message_class.write = original

    return case


def flip_last(data):
    return data[:-1] + bytes([data[-1] ^ 1])


def in_pieces(size):
    """Every record of the client cut up, handshake and all: the stream is the same."""

    def case():
        sock = connect()
        tampering = Tampering(sock)
        tampering.change = None

        class Dripping(Tampering):
            def send(self, data):
                for at in range(0, len(data), size):
                    self.sock.sendall(bytes(data[at : at + size]))
                return len(data)

        connection, _ = shaken((3, 4), Dripping(sock))
        return outcome(connection)

    return case


def fragmented(size):
    """Each handshake message in records of so many bytes."""

    def case():
        tampering = Tampering(connect())
        connection = TLSConnection(tampering)
        connection.recordSize = size
        settings = HandshakeSettings()
        settings.minVersion = settings.maxVersion = (3, 4)
        connection.handshakeClientCert(settings=settings, serverName="localhost")
        connection.recordSize = 1
        return outcome(connection)

    return case


def updates_keys(connection, _):
    for _ in range(5):
        all_of(connection.send_keyupdate_request(1))


def duplicate():
    return TLSExtension(extType=5000).create(5000, bytearray(b"x"))


REFUSED = {"decode_error", "unexpected_message", "illegal_parameter", "protocol_version"}
GOOD = hello()
MANY_ALERTS = [record(ALERT, b"\x01\x5a")] * 40

CASES = [
    # What is no TLS at all.
    ("plain HTTP", says(REQUEST), {"HTTP 400"}),
    ("plain HTTP in pieces", says(REQUEST[:1], REQUEST[1:9], REQUEST[9:]), {"HTTP 400"}),
    ("noise", says(bytes(range(128, 256)) * 8), REFUSED | {"record_overflow"}),
    ("zeros", says(bytes(1000)), REFUSED),
    ("SSH", says(b"ssh-2.0-x\r\n" * 4), REFUSED | {"record_overflow"}),
    ("SSLv2", says(bytes([128, 46, 1, 0, 2, 0, 21, 0, 0, 0, 16]) + bytes(40)), REFUSED),
    ("nothing", says(), {"closed"}),
    ("half a header", says(b"\x16\x03"), {"closed"}),
    ("half a hello", says(record(HANDSHAKE, GOOD)[:99]), {"closed"}),
    # Records.
    ("record of version 5", says(record(HANDSHAKE, GOOD, b"\x05\x00")), REFUSED),
    ("record of an unknown kind", says(record(99, b"x")), REFUSED),
    ("record too long", says(b"\x16\x03\x01\xff\xff" + bytes(3000)), {"record_overflow"}),
    ("plaintext too long", says(b"\x16\x03\x01\x49\x00" + bytes(18688)), {"record_overflow"}),
    ("empty record", says(record(HANDSHAKE, b""), record(HANDSHAKE, GOOD)), REFUSED),
    ("data first", says(record(DATA, b"hello")), {"unexpected_message"}),
    ("CCS first", says(record(CCS, b"\x01")), {"unexpected_message"}),
    ("alert first", says(record(ALERT, b"\x02\x28")), {"closed"}),
    ("close_notify first", says(record(ALERT, b"\x01\x00")), {"closed", "close_notify"}),
    ("alert too short", says(record(ALERT, b"\x02")), {"decode_error", "unexpected_message"}),
    ("alerts without end", says(*MANY_ALERTS), REFUSED | {"closed"}),
    # Messages in the wrong place.
    ("ServerHello first", says(record(HANDSHAKE, b"\x02" + GOOD[1:])), REFUSED),
    ("Finished first", says(record(HANDSHAKE, b"\x14\0\0\x0c" + bytes(12))), REFUSED),
    ("HelloRequest", says(record(HANDSHAKE, bytes(HelloRequest().create().write()))), REFUSED),
    (
        "a record between two pieces",
        says(record(HANDSHAKE, GOOD[:50]), record(DATA, b"x"), record(HANDSHAKE, GOOD[50:])),
        {"unexpected_message"},
    ),
    (
        "a hello behind the hello",
        says(record(HANDSHAKE, GOOD), record(HANDSHAKE, GOOD)),
        {"a sealed alert"},
    ),
    # The hello itself.
    ("hello of 16 MiB", sends_hello(with_length(GOOD, 0xFFFFFF)), {"decode_error"}),
    ("hello cut short", sends_hello(with_length(GOOD, 60)), {"decode_error"}),
    (
        "hello with more behind it",
        sends_hello(with_length(GOOD + b"xyz", len(GOOD) - 1)),
        {"decode_error"},
    ),
    ("hello of nothing", sends_hello(b"\x01\0\0\0"), {"decode_error"}),
    (
        "an extension twice",
        sends_hello(hello(more=(duplicate(), duplicate()))),
        {"illegal_parameter", "decode_error"},
    ),
    (
        "no cipher that we know",
        sends_hello(hello(suites=[0x0A0A, 0x0005])),
        {"handshake_failure"},
    ),
    (
        "TLS 1.1",
        sends_hello(hello(versions=(), version=(3, 2))),
        {"protocol_version"},
    ),
    ("TLS 1.1 as an extension", sends_hello(hello(versions=((3, 2),))), {"protocol_version"}),
    ("SSL 3.0", sends_hello(hello(versions=(), version=(3, 0))), {"protocol_version"}),
    (
        "no group that we know",
        sends_hello(hello(groups=(0x0A0A,), share_group=0x0A0A, share=b"x")),
        {"handshake_failure", "illegal_parameter"},
    ),
    (
        "no signature that we can make",
        sends_hello(hello(signs=((10, 10),), versions=((3, 3),))),
        {"handshake_failure"},
    ),
    (
        "no word of signatures",
        sends_hello(hello(signs=(), versions=((3, 4),))),
        {"missing_extension", "handshake_failure"},
    ),
    ("compression alone", sends_hello(hello(compression=(1,))), {"illegal_parameter"}),
    ("HTTP/2 alone, 1.2", sends_hello(hello(alpn=(b"h2",), versions=())), {
        "no_application_protocol"}),
    ("HTTP/2 alone, 1.3", sends_hello(hello(alpn=(b"h2",))), {"a sealed alert"}),
    (
        "a key that is no point",
        sends_hello(hello(share=b"\x04" + b"\x01" * 64)),
        {"illegal_parameter"},
    ),
    ("a key too short", sends_hello(hello(share=P256[:33])), {"illegal_parameter"}),
    # The rest of the handshake.
    ("wrong Finished, 1.3", during((3, 4), Finished, flip_last), {"decrypt_error"}),
    ("wrong Finished, 1.2", during((3, 3), Finished, flip_last), {"decrypt_error"}),
    ("short Finished, 1.3", during((3, 4), Finished, lambda d: b"\x14\0\0\1\0"), REFUSED | {
        "decrypt_error"}),
    ("CCS of 2, 1.2", during((3, 3), ChangeCipherSpec, lambda d: b"\x02"), REFUSED),
    # Afterwards.
    ("changed on the way, 1.3", after((3, 4), changes(flip_last)), {"bad_record_mac"}),
    ("changed on the way, 1.2", after((3, 3), changes(flip_last)), {"bad_record_mac"}),
    (
        "cut on the way",
        after((3, 4), raw(record(DATA, b"\x01" * 5))),
        {"bad_record_mac", "decode_error"},
    ),
    ("in the clear, 1.3", after((3, 4), raw(record(HANDSHAKE, GOOD))), REFUSED | {
        "bad_record_mac"}),
    # Long enough for TLS 1.2, and what cannot be opened has no length.
    ("too long, 1.3", after((3, 4), raw(record(DATA, bytes(16641)))), {"bad_record_mac"}),
    ("far too long, 1.3", after((3, 4), raw(record(DATA, bytes(20000)))), {
        "record_overflow", "decode_error"}),
    (
        "too long inside, 1.3",
        after((3, 4), sends_record(DATA, bytes(16385))),
        {"record_overflow"},
    ),
    ("nothing inside, 1.3", after((3, 4), sends_record(0, b"")), {
        "unexpected_message", "closed"}),
    ("unknown inside, 1.3", after((3, 4), sends(Message(99, bytearray(b"x")))), REFUSED),
    ("a hello again, 1.3", after((3, 4), sends(Message(22, bytearray(GOOD)))), {
        "unexpected_message"}),
    (
        "a hello again, 1.2",
        after((3, 3), sends(Message(22, bytearray(GOOD)))),
        {"no_renegotiation", "served", "unexpected_message"},
    ),
    (
        "a certificate nobody asked for",
        after((3, 4), sends(Certificate(0, (3, 4)).create([], bytearray()))),
        {"unexpected_message"},
    ),
    ("Finished again", after((3, 4), sends(Message(22, bytearray(b"\x14\0\0\x20" + bytes(32))))), {
        "unexpected_message"}),
    ("odd KeyUpdate", after((3, 4), sends(Message(22, bytearray(b"\x18\0\0\1\7")))), {
        "illegal_parameter", "decode_error"}),
    ("empty KeyUpdate", after((3, 4), sends(Message(22, bytearray(b"\x18\0\0\0")))), {
        "decode_error"}),
    ("heartbeat", after((3, 4), sends(Message(24, bytearray(b"\1\xff\xff")))), {
        "unexpected_message", "decode_error"}),
    ("fatal alert", after((3, 4), sends(Alert().create(40, 2))), {"closed"}),
    ("data behind close_notify", after((3, 4), sends(Alert().create(0, 1))), {
        "closed", "close_notify"}),
    # What looks odd and is good.
    ("bytes one by one", in_pieces(1), {"served"}),
    ("bytes by sevens", in_pieces(7), {"served"}),
    ("messages in records of one", fragmented(1), {"served"}),
    ("messages in records of five", fragmented(5), {"served"}),
    ("new keys five times", after((3, 4), updates_keys), {"served"}),
    ("empty data", after((3, 4), sends(Message(23, bytearray()))), {"served"}),
    ("all is well, 1.3", after((3, 4), lambda *_: None), {"served"}),
    ("all is well, 1.2", after((3, 3), lambda *_: None), {"served"}),
]


def main():
    wrong = 0
    for name, case, wanted in CASES:
        found = case()
        good = found in wanted
        wrong += not good
        note = "" if good else "   WRONG, wanted " + " or ".join(sorted(wanted))
        print(f"{name}: {found}{note}")
    print(f"{len(CASES)} cases, {wrong} wrong")
    sys.exit(wrong > 0)


main()
