"""A real NiFi with https, client certificates, logins and a managed authorizer: what people run in earnest."""

from __future__ import annotations

import io
import time
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509 import load_pem_x509_certificate

from penstock.deploy.borrowing import borrowed
from penstock.deploy.canvas import Connection, Login
from penstock.deploy.java import find_java
from penstock.deploy.nifi._assembly import assemble
from penstock.deploy.nifi._command import nifi_command, nifi_environment
from penstock.deploy.nifi._home import prepare
from penstock.deploy.nifi._server import JAVA
from penstock.deploy.ports import free_port
from penstock.deploy.processes import ended, start
from penstock.proto.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psutil

USER, PASSWORD = "admin", "correct horse"
_DOORKEEPER = Path(__file__).with_name("Doorkeeper.class")
_SECRET = "changeit changeit"
_START = 240.0  # seconds

_OWN = """\
nifi.web.http.host=
nifi.web.http.port=
nifi.web.https.host=127.0.0.1
nifi.web.https.port={port}
nifi.security.keystore=./conf/key.p12
nifi.security.keystoreType=PKCS12
nifi.security.keystorePasswd={secret}
nifi.security.keyPasswd={secret}
nifi.security.truststore=./conf/trust.p12
nifi.security.truststoreType=PKCS12
nifi.security.truststorePasswd={secret}
nifi.security.identity.mapping.pattern.dn=^.*CN=([^,]+).*$
nifi.security.identity.mapping.value.dn=$1
nifi.security.user.login.identity.provider=doorkeeper
nifi.authorizer.configuration.file=./conf/own-authorizers.xml
nifi.login.identity.provider.configuration.file=./conf/own-logins.xml
nifi.nar.library.directory.own=./conf/nars
"""
_AUTHORIZERS = """\
<authorizers>
  <userGroupProvider>
    <identifier>users</identifier>
    <class>org.apache.nifi.authorization.FileUserGroupProvider</class>
    <property name="Users File">./conf/users.xml</property>
    <property name="Initial User Identity 1">admin</property>
    <property name="Initial User Identity 2">guest</property>
  </userGroupProvider>
  <accessPolicyProvider>
    <identifier>policies</identifier>
    <class>org.apache.nifi.authorization.FileAccessPolicyProvider</class>
    <property name="User Group Provider">users</property>
    <property name="Authorizations File">./conf/authorizations.xml</property>
    <property name="Initial Admin Identity">admin</property>
  </accessPolicyProvider>
  <authorizer>
    <identifier>managed-authorizer</identifier>
    <class>org.apache.nifi.authorization.StandardManagedAuthorizer</class>
    <property name="Access Policy Provider">policies</property>
  </authorizer>
</authorizers>
"""
_LOGINS = """\
<loginIdentityProviders>
  <provider>
    <identifier>doorkeeper</identifier>
    <class>Doorkeeper</class>
  </provider>
</loginIdentityProviders>
"""
_MANIFEST = """\
Manifest-Version: 1.0
Nar-Group: test
Nar-Id: doorkeeper-nar
Nar-Version: 1
Nar-Dependency-Group: org.apache.nifi
Nar-Dependency-Id: nifi-framework-nar
Nar-Dependency-Version: 2.3.0
"""


@dataclass(frozen=True, slots=True)
class SecuredNiFi:
    """One that runs.

    Attributes:
        address: https.
        ca_file: its authority.
        admin: PEM file with certificate and key of the user who may do everything.
        guest: likewise, of one who may do nothing.
    """

    address: str
    ca_file: Path
    admin: Path
    guest: Path

    def login(self, who: Path) -> Login:
        """The login with a client certificate."""
        return Login(certificate=who, ca_file=self.ca_file)


class _Server:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: psutil.Process | None = None

    def process(self) -> psutil.Process | None:
        return self._process

    def up(self, under: Sequence[str]) -> None:
        java, assembly = find_java(JAVA), assemble(None)
        conf = self.folder / "conf"
        conf.mkdir(parents=True)
        _certificates(conf)
        (conf / "own-authorizers.xml").write_text(_AUTHORIZERS)
        (conf / "nars").mkdir()
        _pack(conf / "nars" / "doorkeeper.nar")
        (conf / "own-logins.xml").write_text(_LOGINS)
        (conf / "own.properties").write_text(_OWN.format(port=self.port, secret=_SECRET))
        prepare(self.folder, assembly, port=self.port)
        # The quick compiler alone: half of the work of a start that is needed once.
        quick = "-XX:TieredStopAtLevel=1"
        command = nifi_command(java, assembly, quick, management_port=free_port())
        output = self.folder / "console.log"
        self._process = start([*under, *command], folder=self.folder, output=output, environment=nifi_environment())
        self._wait(self._process)

    def _wait(self, process: psutil.Process) -> None:
        nifi = Connection(f"https://127.0.0.1:{self.port}", _login(self.folder / "conf", "admin"))
        end = time.monotonic() + _START
        while True:
            try:
                nifi.version()
            except PenstockError as error:
                if ended(process) or time.monotonic() > end:
                    log = (self.folder / "logs" / "nifi-app.log").read_text()
                    raise AssertionError(f"{error.message}\n{log[-4000:]}") from None
                time.sleep(0.5)
            else:
                return


@contextmanager
def secured(folder: Path) -> Iterator[SecuredNiFi]:
    """One for as long as the block lasts, with the first rights given to its administrator."""

    def up(server: _Server, under: Sequence[str]) -> None:
        server.up(under)

    with borrowed(_Server, up, folder=folder, name="secured", grace=30.0) as server:
        conf = server.folder / "conf"
        address = f"https://127.0.0.1:{server.port}"
        found = SecuredNiFi(address, conf / "ca.pem", conf / "admin.pem", conf / "guest.pem")
        # A new NiFi has no flow yet when it makes the first policies, so nobody may see the canvas.
        with Connection(address, _login(conf, "admin")).nipyapi() as nipyapi:
            nipyapi.security.bootstrap_security_policies("nifi")
        yield found


def _login(conf: Path, name: str) -> Login:
    return Login(certificate=conf / f"{name}.pem", ca_file=conf / "ca.pem")


def _certificates(conf: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(conf / "ca.pem")
    for name in ("admin", "guest"):
        issued = authority.issue_cert(f"{name}@example.org", common_name=name)
        issued.private_key_and_cert_chain_pem.write_to_path(conf / f"{name}.pem")
    server = authority.issue_cert("127.0.0.1", "localhost")
    locked = serialization.BestAvailableEncryption(_SECRET.encode())
    key = serialization.load_pem_private_key(server.private_key_pem.bytes(), None)
    certificate = load_pem_x509_certificate(server.cert_chain_pems[0].bytes())
    trusted = load_pem_x509_certificate(authority.cert_pem.bytes())
    bundle = pkcs12.serialize_key_and_certificates(b"nifi", key, certificate, [trusted], locked)  # type: ignore[arg-type]
    (conf / "key.p12").write_bytes(bundle)
    trust = pkcs12.serialize_java_truststore([pkcs12.PKCS12Certificate(trusted, b"ca")], locked)
    (conf / "trust.p12").write_bytes(trust)


def _pack(nar: Path) -> None:
    # Doorkeeper.class is Doorkeeper.java, compiled with NiFi's jars by javac --release 21 -g:none; few have a JDK.
    jar = io.BytesIO()
    with zipfile.ZipFile(jar, "w") as file:
        file.write(_DOORKEEPER, _DOORKEEPER.name)
        file.writestr("META-INF/services/org.apache.nifi.authentication.LoginIdentityProvider", "Doorkeeper\n")
    with zipfile.ZipFile(nar, "w") as file:
        for folder in ("META-INF/", "META-INF/bundled-dependencies/"):
            file.writestr(folder, "")
        file.writestr("META-INF/MANIFEST.MF", _MANIFEST)
        file.writestr("META-INF/bundled-dependencies/doorkeeper.jar", jar.getvalue())
