"""TLS by its usual names. The host encrypts: a context holds settings, and wraps a socket of HTTP.

Only whether certificates are verified has a meaning. The host verifies them in any case, but n8n
can be told not to.
"""

from enum import IntEnum, IntFlag
from typing import Any, NoReturn

from _serpentarium.http.sockets import Socket

_NO_TLS = "this sandbox has no TLS of its own: the host encrypts the requests of https"


class TLSVersion(IntEnum):
    MINIMUM_SUPPORTED = -2
    SSLv3 = 768
    TLSv1 = 769
    TLSv1_1 = 770
    TLSv1_2 = 771
    TLSv1_3 = 772
    MAXIMUM_SUPPORTED = -1


class VerifyMode(IntEnum):
    CERT_NONE = 0
    CERT_OPTIONAL = 1
    CERT_REQUIRED = 2


class _SSLMethod(IntEnum):
    PROTOCOL_TLS = 2
    PROTOCOL_SSLv23 = 2
    PROTOCOL_TLSv1 = 3
    PROTOCOL_TLSv1_1 = 4
    PROTOCOL_TLSv1_2 = 5
    PROTOCOL_TLS_CLIENT = 16
    PROTOCOL_TLS_SERVER = 17


class Options(IntFlag):
    OP_ALL = 0x80000050
    OP_NO_SSLv2 = 0
    OP_NO_SSLv3 = 0x2000000
    OP_NO_TLSv1 = 0x4000000
    OP_NO_TLSv1_1 = 0x10000000
    OP_NO_TLSv1_2 = 0x8000000
    OP_NO_TLSv1_3 = 0x20000000
    OP_NO_COMPRESSION = 0x20000
    OP_NO_TICKET = 0x4000
    OP_NO_RENEGOTIATION = 0x40000000
    OP_CIPHER_SERVER_PREFERENCE = 0x400000
    OP_SINGLE_DH_USE = 0
    OP_SINGLE_ECDH_USE = 0
    OP_ENABLE_MIDDLEBOX_COMPAT = 0x100000
    OP_IGNORE_UNEXPECTED_EOF = 0x80
    OP_LEGACY_SERVER_CONNECT = 4


class VerifyFlags(IntFlag):
    VERIFY_DEFAULT = 0
    VERIFY_CRL_CHECK_LEAF = 4
    VERIFY_CRL_CHECK_CHAIN = 12
    VERIFY_X509_STRICT = 32
    VERIFY_X509_TRUSTED_FIRST = 0x8000
    VERIFY_ALLOW_PROXY_CERTS = 64
    VERIFY_X509_PARTIAL_CHAIN = 0x80000


class Purpose(IntEnum):
    SERVER_AUTH = 129
    CLIENT_AUTH = 130


class AlertDescription(IntEnum):
    ALERT_DESCRIPTION_HANDSHAKE_FAILURE = 40
    ALERT_DESCRIPTION_BAD_CERTIFICATE = 42
    ALERT_DESCRIPTION_UNKNOWN_CA = 48


class SSLErrorNumber(IntEnum):
    SSL_ERROR_SSL = 1
    SSL_ERROR_WANT_READ = 2
    SSL_ERROR_WANT_WRITE = 3
    SSL_ERROR_SYSCALL = 5
    SSL_ERROR_ZERO_RETURN = 6
    SSL_ERROR_EOF = 8


for _kind in (
    VerifyMode, _SSLMethod, Options, VerifyFlags, AlertDescription, SSLErrorNumber
):  # fmt: skip
    globals().update(_kind.__members__)
CERT_NONE, CERT_REQUIRED = VerifyMode.CERT_NONE, VerifyMode.CERT_REQUIRED
PROTOCOL_TLS, PROTOCOL_TLS_CLIENT = _SSLMethod.PROTOCOL_TLS, _SSLMethod.PROTOCOL_TLS_CLIENT

HAS_SNI = HAS_ALPN = HAS_ECDH = HAS_TLSv1_2 = HAS_TLSv1_3 = HAS_NEVER_CHECK_COMMON_NAME = True
HAS_SSLv2 = HAS_SSLv3 = HAS_TLSv1 = HAS_TLSv1_1 = HAS_NPN = HAS_PSK = False
OPENSSL_VERSION = "OpenSSL 3.0.0 (none: the host encrypts)"
OPENSSL_VERSION_INFO = (3, 0, 0, 0, 0)
OPENSSL_VERSION_NUMBER = 0x30000000
CHANNEL_BINDING_TYPES: list[str] = []
PEM_HEADER, PEM_FOOTER = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


class SSLError(OSError):
    """TLS failed."""

    library = reason = ""


class SSLZeroReturnError(SSLError):
    """The peer has closed the connection."""


class SSLWantReadError(SSLError):
    """More must be read first."""


class SSLWantWriteError(SSLError):
    """More must be written first."""


class SSLSyscallError(SSLError):
    """A system call failed."""


class SSLEOFError(SSLError):
    """The peer has ended the connection."""


class SSLCertVerificationError(SSLError, ValueError):
    """A certificate is not valid."""


CertificateError = SSLCertVerificationError


class SSLSocket(Socket):
    """A socket whose requests go by https."""

    scheme = "https"
    server_side = False

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        raise TypeError("SSLSocket does not have a public constructor; use SSLContext.wrap_socket")

    @classmethod
    def _wrap(cls, inner: Any, context: "SSLContext", hostname: Any) -> "SSLSocket":
        if getattr(inner, "scheme", "https") != "http":
            raise SSLError(_NO_TLS)
        wrapped = cls.__new__(cls)
        vars(wrapped).update(vars(inner))
        wrapped.context, wrapped.server_hostname, wrapped.session = context, hostname, None
        wrapped.verify = context.verify_mode != CERT_NONE
        inner.detach()
        return wrapped

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        return self.recv(len) if buffer is None else self.recv_into(buffer, len)

    def write(self, data: Any) -> int:
        return self.send(data)

    def do_handshake(self, block: bool = False) -> None:
        """Does nothing: the host encrypts."""

    def getpeercert(self, binary_form: bool = False) -> Any:
        return b"" if binary_form else {}

    def version(self) -> str:
        return "TLSv1.3"

    def cipher(self) -> None:
        return None

    def compression(self) -> None:
        return None

    def selected_alpn_protocol(self) -> None:
        return None

    def get_channel_binding(self, cb_type: str = "tls-unique") -> None:
        return None

    def pending(self) -> int:
        return 0

    def unwrap(self) -> NoReturn:
        raise SSLError(_NO_TLS)


class SSLObject:
    """TLS in memory, which does not exist here."""

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        raise SSLError(_NO_TLS)


class MemoryBIO:
    """A buffer of TLS, which does not exist here."""

    def __init__(self) -> None:
        raise SSLError(_NO_TLS)


class SSLSession:
    """A session of TLS."""


class SSLContext:
    """The settings of TLS. The host uses its own certificates and versions."""

    sslsocket_class, sslobject_class = SSLSocket, SSLObject
    keylog_filename = sni_callback = post_handshake_auth = None
    hostname_checks_common_name = False
    minimum_version, maximum_version = TLSVersion.TLSv1_2, TLSVersion.MAXIMUM_SUPPORTED
    security_level, num_tickets = 2, 2

    def __init__(self, protocol: int | None = None) -> None:
        self.protocol = PROTOCOL_TLS if protocol is None else _SSLMethod(protocol)
        self._check_hostname = self.protocol == PROTOCOL_TLS_CLIENT
        self._verify_mode = CERT_REQUIRED if self._check_hostname else CERT_NONE
        self.options = Options.OP_ALL | Options.OP_NO_SSLv3 | Options.OP_NO_COMPRESSION
        self.verify_flags = VerifyFlags.VERIFY_X509_TRUSTED_FIRST

    @property
    def check_hostname(self) -> bool:
        return self._check_hostname

    @check_hostname.setter
    def check_hostname(self, value: bool) -> None:
        self._check_hostname = bool(value)
        if value and self._verify_mode == CERT_NONE:
            self._verify_mode = CERT_REQUIRED

    @property
    def verify_mode(self) -> VerifyMode:
        return self._verify_mode

    @verify_mode.setter
    def verify_mode(self, value: int) -> None:
        if value == CERT_NONE and self._check_hostname:
            raise ValueError("Cannot set verify_mode to CERT_NONE when check_hostname is enabled.")
        self._verify_mode = VerifyMode(value)

    def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
        raise SSLError("this sandbox sends no certificates of clients: the host encrypts")

    def load_verify_locations(
        self, cafile: Any = None, capath: Any = None, cadata: Any = None
    ) -> None:
        """Does nothing: the host has its own certificates."""

    def load_default_certs(self, purpose: Any = None) -> None:
        """Does nothing: the host has its own certificates."""

    set_default_verify_paths = load_default_certs

    def set_ciphers(self, ciphers: str) -> None:
        """Does nothing: the host chooses."""

    def set_alpn_protocols(self, protocols: Any) -> None:
        """Does nothing: the host chooses."""

    def get_ca_certs(self, binary_form: bool = False) -> list[Any]:
        return []

    def get_ciphers(self) -> list[Any]:
        return []

    def cert_store_stats(self) -> dict[str, int]:
        return {"x509": 0, "crl": 0, "x509_ca": 0}

    def session_stats(self) -> dict[str, int]:
        return {}

    def wrap_socket(
        self,
        sock: Any,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: Any = None,
        session: Any = None,
    ) -> SSLSocket:
        if server_side:
            raise SSLError("this sandbox has no servers")
        return SSLSocket._wrap(sock, self, server_hostname)

    def wrap_bio(self, *_arguments: Any, **_options: Any) -> NoReturn:
        raise SSLError(_NO_TLS)


def create_default_context(
    purpose: Any = Purpose.SERVER_AUTH,
    *,
    cafile: Any = None,
    capath: Any = None,
    cadata: Any = None,
) -> SSLContext:
    """Returns a context that verifies certificates."""
    return SSLContext(PROTOCOL_TLS_CLIENT)


def _create_unverified_context(*_arguments: Any, **_options: Any) -> SSLContext:
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = CERT_NONE
    return context


_create_default_https_context = create_default_context
_create_stdlib_context = _create_unverified_context


class DefaultVerifyPaths:
    """Where certificates would be."""

    cafile = capath = None
    openssl_cafile_env, openssl_cafile = "SSL_CERT_FILE", "/dev/null"
    openssl_capath_env, openssl_capath = "SSL_CERT_DIR", "/dev/null"


def get_default_verify_paths() -> DefaultVerifyPaths:
    """Returns where certificates would be."""
    return DefaultVerifyPaths()


def get_server_certificate(*_arguments: Any, **_options: Any) -> NoReturn:
    """Raises an exception: the host alone sees certificates."""
    raise SSLError(_NO_TLS)


def DER_cert_to_PEM_cert(certificate: bytes) -> str:
    """Returns a certificate as text."""
    from base64 import encodebytes

    text = encodebytes(certificate).decode()
    return f"{PEM_HEADER}\n{text.rstrip()}\n{PEM_FOOTER}\n"


def PEM_cert_to_DER_cert(text: str) -> bytes:
    """Returns a certificate as bytes."""
    from base64 import decodebytes

    inner = text.strip().removeprefix(PEM_HEADER).removesuffix(PEM_FOOTER)
    return decodebytes(inner.encode("ascii", "strict"))


def cert_time_to_seconds(time: str) -> int:
    """Returns the time of a certificate in seconds of Unix time."""
    from calendar import timegm
    from datetime import datetime

    return timegm(datetime.strptime(time, "%b %d %H:%M:%S %Y GMT").timetuple())


def RAND_bytes(count: int) -> bytes:
    """Returns random bytes."""
    from os import urandom

    return urandom(count)


def RAND_status() -> bool:
    """Returns that random bytes are available."""
    return True
