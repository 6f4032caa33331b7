"""The TLS context for kinds that uvicorn does not serve, from its options."""

from __future__ import annotations

import ssl
from typing import Any

_PREFIX = "ssl_"


def context_of(options: dict[str, Any]) -> ssl.SSLContext | None:
    """None where there is no certificate. Takes the ssl_ options out. Raises OSError."""
    given = {name: options.pop(name) for name in list(options) if name.startswith(_PREFIX)}
    if not given.get("ssl_certfile"):
        return None
    context = ssl.SSLContext(given.get("ssl_version", ssl.PROTOCOL_TLS_SERVER))
    context.load_cert_chain(given["ssl_certfile"], given.get("ssl_keyfile"), given.get("ssl_keyfile_password"))
    context.verify_mode = ssl.VerifyMode(given.get("ssl_cert_reqs", ssl.CERT_NONE))
    if given.get("ssl_ca_certs"):
        context.load_verify_locations(given["ssl_ca_certs"])
    if given.get("ssl_ciphers"):
        context.set_ciphers(given["ssl_ciphers"])
    return context
