"""https, certificates, passwords, tokens and rights against a real NiFi that has all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.deploy.canvas.secured import PASSWORD, USER

from penstock.deploy.canvas import Connection, Login
from penstock.deploy.flows import Flows
from penstock.proto.errors import RequestError, SetupError, Unauthenticated

if TYPE_CHECKING:
    from tests.deploy.canvas.secured import SecuredNiFi

pytestmark = [pytest.mark.nifi, pytest.mark.xdist_group("nifi")]


@pytest.fixture
def password(secured_nifi: SecuredNiFi) -> Connection:
    return Connection(secured_nifi.address, Login(user=USER, password=PASSWORD, ca_file=secured_nifi.ca_file))


def test_a_client_certificate_gives_the_rights_of_its_owner(secured_nifi: SecuredNiFi) -> None:
    admin = Connection(secured_nifi.address, secured_nifi.login(secured_nifi.admin))
    guest = Connection(secured_nifi.address, secured_nifi.login(secured_nifi.guest))
    assert admin.get("/flow/current-user")["identity"] == "admin"
    with pytest.raises(RequestError, match="has no right") as caught:
        guest.get("/flow/current-user")
    assert caught.value.http_status == 403


def test_without_a_login_the_variables_to_set_are_named(secured_nifi: SecuredNiFi) -> None:
    with pytest.raises(Unauthenticated, match="PENSTOCK_NIFI_USER"):
        Connection(secured_nifi.address, Login(ca_file=secured_nifi.ca_file)).version()


def test_an_unknown_authority_is_not_believed(secured_nifi: SecuredNiFi) -> None:
    with pytest.raises(SetupError, match=r"certificate of NiFi at .* is not accepted"):
        Connection(secured_nifi.address).version()
    with pytest.raises(Unauthenticated):
        Connection(secured_nifi.address, Login(verify=False)).version()


def test_user_and_password_get_a_token_and_a_new_one_when_it_has_expired(password: Connection) -> None:
    assert password.get("/flow/current-user")["identity"] == USER
    password.client._token = "expired"
    assert password.get("/flow/current-user")["identity"] == USER


def test_a_wrong_password_is_told_and_not_repeated(secured_nifi: SecuredNiFi, password: Connection) -> None:
    login = Login(user=USER, password="hunter2", ca_file=secured_nifi.ca_file)
    with pytest.raises(Unauthenticated, match="does not accept the login") as caught:
        Connection(secured_nifi.address, login).version()
    assert "hunter2" not in caught.value.message


def test_a_token_is_a_login(secured_nifi: SecuredNiFi, password: Connection) -> None:
    password.version()
    token = password.client._token
    login = Login(token=token, ca_file=secured_nifi.ca_file)
    assert Connection(secured_nifi.address, login).get("/flow/current-user")["identity"] == USER
    with pytest.raises(Unauthenticated) as caught:
        Connection(secured_nifi.address, Login(token="n0nsense", ca_file=secured_nifi.ca_file)).version()
    assert "n0nsense" not in caught.value.message


def test_nipyapis_own_functions_use_the_connections_login(secured_nifi: SecuredNiFi) -> None:
    admin = Connection(secured_nifi.address, secured_nifi.login(secured_nifi.admin))
    guest = Connection(secured_nifi.address, secured_nifi.login(secured_nifi.guest))
    with admin.nipyapi() as nipyapi:
        assert {each.component.identity for each in nipyapi.security.list_service_users()} == {"admin", "guest"}
    with pytest.raises(RequestError, match="has no right"), guest.nipyapi() as nipyapi:
        nipyapi.security.list_service_users()


def test_a_deployment_lives_and_ends_over_https(secured_nifi: SecuredNiFi) -> None:
    flows = Flows(Connection(secured_nifi.address, secured_nifi.login(secured_nifi.admin)))
    made = flows.create("secured", parameters={"greeting": "hello"})
    assert made.address.startswith(f"{secured_nifi.address}/nifi/#/process-groups/")
    assert [each.value for each in flows.show("secured").parameters] == ["hello"]
    flows.delete("secured")
    assert flows.list() == ()
