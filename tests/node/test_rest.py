"""The REST gateway over real sockets, on a chain in memory."""

from __future__ import annotations

import base64
import json
import re
import socket
import time
from collections.abc import Iterator
from http import client as http_client
from typing import Any, ClassVar

import httpx2
import pytest

from abci_app.kernel.errors import QueryError
from abci_app.node.comet import CometRpc
from abci_app.node.rest import RestServer
from abci_app.node.rest_routes import RouteTable, as_json, request_of
from abci_app.node.services import Services
from protocol.gen.cosmos.auth.v1beta1 import auth_pb2
from protocol.gen.cosmos.auth.v1beta1 import query_pb2 as auth_query
from protocol.gen.cosmos.bank.v1beta1 import tx_pb2 as bank_tx
from protocol.gen.cosmos.base.abci.v1beta1 import abci_pb2
from protocol.gen.cosmos.base.v1beta1.coin_pb2 import Coin
from protocol.gen.cosmos.tx.v1beta1 import service_pb2, tx_pb2
from protocol.gen.cosmos.upgrade.v1beta1 import query_pb2 as upgrade_query
from protocol.gen.google.protobuf import any_pb2
from tests.chain import DENOM, FUNDS, Chain, GenesisNode, GenesisParticipant, a_model, app_state, key_of

NO_COMET = "http://127.0.0.1:9"
ORIGIN = {"origin": "https://wallet.test"}


@pytest.fixture
def chain() -> Chain:
    participant = GenesisParticipant("alice", nodes=(GenesisNode("a1", ("model/x",), 10),))
    made = Chain(app_state([participant], [a_model()], funded=["bob"]))
    made.run_to(3)
    return made


@pytest.fixture
def services(chain: Chain) -> Iterator[Services]:
    comet = CometRpc(NO_COMET)
    yield Services(chain.app, comet)
    comet.close()


def serve(services: Services, **options: Any) -> Iterator[RestServer]:
    server = RestServer(services, "127.0.0.1", 0, **options)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(services: Services) -> Iterator[RestServer]:
    yield from serve(services, cors_origins=["*"])


@pytest.fixture
def impatient(services: Services) -> Iterator[RestServer]:
    yield from serve(services, request_timeout_s=0.5, connections_max=4)


@pytest.fixture
def http(server: RestServer) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False, timeout=20) as client:
        yield client


def bob() -> str:
    return key_of("bob").address


def test_a_path_answers_with_the_names_of_the_declaration(http: httpx2.Client) -> None:
    reply = http.get(f"/cosmos/bank/v1beta1/balances/{bob()}")

    assert reply.status_code == 200
    assert reply.json() == {
        "balances": [{"denom": DENOM, "amount": str(FUNDS)}],
        "pagination": {"next_key": None, "total": "1"},
    }
    assert reply.headers["x-cosmos-block-height"] == "3"


def test_64_bit_integers_are_text_and_defaults_are_written(http: httpx2.Client) -> None:
    account = http.get(f"/cosmos/auth/v1beta1/accounts/{bob()}").json()["account"]

    assert account["@type"] == "/cosmos.auth.v1beta1.BaseAccount"
    assert account["sequence"] == "0"
    assert isinstance(account["account_number"], str)


def test_every_declared_get_route_leads_to_its_query(http: httpx2.Client, services: Services) -> None:
    statuses = {}
    for route in services.routes.values():
        for verb, path, _ in route.http:
            if verb == "GET":
                filled = path.replace("{denom=**}", "nevg").replace("{", "1").replace("}", "")
                statuses[path] = http.get(filled).status_code

    assert len(statuses) > 40
    assert {path: status for path, status in statuses.items() if status in {500, 501}} == {}


def test_a_field_of_the_path_may_hold_a_slash(http: httpx2.Client) -> None:
    reply = http.get("/evergrid/models/v1/governance_model", params={"model_id": "model/x"})
    table = http.get("/cosmos/auth/v1beta1/accounts/a%2Fb")

    assert reply.json()["model"]["id"] == "model/x"
    assert table.status_code == 400


def test_nested_fields_stand_in_the_query_string(http: httpx2.Client) -> None:
    first = http.get(
        "/evergrid/hardware/v1/participants", params={"pagination.limit": 1, "pagination.count_total": "true"}
    ).json()
    camel = http.get("/evergrid/hardware/v1/participants", params={"pagination.countTotal": "true"}).json()

    assert len(first["participants"]) == 1
    assert first["pagination"]["total"] == camel["pagination"]["total"] == "1"


def test_a_header_selects_a_former_height(http: httpx2.Client, chain: Chain) -> None:
    send = bank_tx.MsgSend(
        from_address=bob(), to_address=key_of("carol").address, amount=[Coin(denom=DENOM, amount="7")]
    )
    chain.must("bob", send)
    path = f"/cosmos/bank/v1beta1/balances/{key_of('carol').address}/by_denom?denom={DENOM}"

    former = http.get(path, headers={"x-cosmos-block-height": "3"})
    now = http.get(path)

    assert former.json()["balance"]["amount"] == "0"
    assert former.headers["x-cosmos-block-height"] == "3"
    assert now.json()["balance"]["amount"] == "7"


def test_an_unknown_path_is_not_implemented(http: httpx2.Client) -> None:
    for reply in (http.get("/cosmos/nope"), http.get("/"), http.delete("/cosmos/bank/v1beta1/supply")):
        assert reply.status_code == 501
        assert reply.json() == {"code": 12, "message": "Not Implemented", "details": []}


def test_an_unknown_account_is_not_found_in_the_words_that_clients_read(http: httpx2.Client) -> None:
    address = key_of("nobody").address

    reply = http.get(f"/cosmos/auth/v1beta1/accounts/{address}")

    assert reply.status_code == 404
    assert reply.json() == {"code": 5, "message": f"account {address} not found", "details": []}


def test_one_error_names_every_field_that_is_wrong(http: httpx2.Client) -> None:
    query = "pagination.limit=x&pagination.count_total=perhaps&pagination.key=%21&pagination.offset=-1"

    reply = http.get(f"/evergrid/hardware/v1/participants?{query}")

    assert reply.status_code == 400
    message = reply.json()["message"]
    for name in ("limit", "count_total", "key", "offset"):
        assert f"pagination.{name}: " in message


def test_a_posted_transaction_is_simulated(http: httpx2.Client, chain: Chain) -> None:
    send = bank_tx.MsgSend(
        from_address=bob(), to_address=key_of("carol").address, amount=[Coin(denom=DENOM, amount="7")]
    )
    raw = base64.b64encode(chain.sign("bob", send, gas=0)).decode()

    reply = http.post("/cosmos/tx/v1beta1/simulate", json={"tx_bytes": raw})
    camel = http.post("/cosmos/tx/v1beta1/simulate", json={"txBytes": raw})

    assert int(reply.json()["gas_info"]["gas_used"]) > 0
    assert camel.json() == reply.json()


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"unknown": 1}', b'{"txBytes": 5}', b"\xff", b"[" * 100_000])
def test_a_body_that_is_not_the_request_is_refused(http: httpx2.Client, body: bytes) -> None:
    reply = http.post("/cosmos/tx/v1beta1/simulate", content=body)

    assert reply.status_code == 400
    assert reply.json()["code"] == 3


def test_a_body_beyond_the_cap_is_refused(http: httpx2.Client) -> None:
    reply = http.post("/cosmos/tx/v1beta1/txs", content=b" " * (5 * 1024 * 1024))

    assert reply.status_code == 400
    assert "larger than" in reply.json()["message"]


def test_without_comet_a_broadcast_is_unavailable(http: httpx2.Client) -> None:
    reply = http.post("/cosmos/tx/v1beta1/txs", json={"tx_bytes": "eA==", "mode": "BROADCAST_MODE_SYNC"})

    assert reply.status_code == 503
    assert reply.json()["code"] == 14


def test_web_pages_of_the_allowed_origins_may_read(http: httpx2.Client) -> None:
    asked = {**ORIGIN, "access-control-request-method": "POST"}
    allowed = http.options(
        "/cosmos/tx/v1beta1/txs", headers={**asked, "access-control-request-headers": "content-type"}
    )

    reply = http.get("/cosmos/bank/v1beta1/supply", headers=ORIGIN)

    assert allowed.status_code == 200
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "x-cosmos-block-height" in reply.headers["access-control-expose-headers"]


def test_head_has_the_headers_of_get_and_no_body(http: httpx2.Client) -> None:
    reply = http.head("/cosmos/bank/v1beta1/supply")

    assert (reply.status_code, reply.content) == (200, b"")
    assert int(reply.headers["content-length"]) > 0


# Slow and greedy clients.


def closed_within(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def connect(server: RestServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=5)


def test_a_silent_connection_is_closed(impatient: RestServer) -> None:
    with connect(impatient) as silent:
        assert closed_within(silent, 5)


def drip(connection: socket.socket, data: bytes, seconds: float) -> float | None:
    """Sends a byte now and then; the seconds after which the other end had enough, None if it never had."""
    started = time.monotonic()
    for byte in data:
        try:
            connection.sendall(bytes((byte,)))
        except OSError:
            return time.monotonic() - started
        time.sleep(0.05)
        if time.monotonic() - started > seconds:
            return None
    return None


def test_a_header_sent_byte_by_byte_is_cut(impatient: RestServer) -> None:
    with connect(impatient) as slow:
        cut_after = drip(slow, b"GET /cosmos/bank/v1beta1/supply HTTP/1.1\r\nx: " + b"y" * 1000, 10)

    assert cut_after is not None and cut_after < 5


def test_a_body_that_never_ends_is_cut(impatient: RestServer) -> None:
    with connect(impatient) as slow:
        slow.sendall(b"POST /cosmos/tx/v1beta1/simulate HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")

        assert closed_within(slow, 5)


def test_connections_beyond_the_cap_are_closed_at_once(impatient: RestServer) -> None:
    held = [connect(impatient) for _ in range(4)]
    time.sleep(0.1)

    with connect(impatient) as fifth:
        assert closed_within(fifth, 0.3)
    for connection in held:
        connection.close()


def test_after_silent_connections_others_are_served(impatient: RestServer) -> None:
    held = [connect(impatient) for _ in range(4)]
    for connection in held:
        assert closed_within(connection, 5)

    reply = httpx2.get(f"http://127.0.0.1:{impatient.port}/cosmos/bank/v1beta1/supply", trust_env=False)

    assert reply.status_code == 200


def test_the_body_of_an_answer_does_not_wait_for_the_client_to_acknowledge_its_head(
    server: RestServer,
) -> None:
    times = []
    connection = http_client.HTTPConnection("127.0.0.1", server.port, timeout=20)

    for _ in range(20):
        started = time.perf_counter()
        connection.request("GET", "/cosmos/bank/v1beta1/supply")
        connection.getresponse().read()
        times.append(time.perf_counter() - started)

    connection.close()
    # A client delays an acknowledgement by 40 ms; the fastest is asked for, since the machine may be busy.
    assert min(times[5:]) < 0.03


def test_one_connection_serves_many_requests(http: httpx2.Client) -> None:
    statuses = [http.get("/cosmos/bank/v1beta1/supply").status_code for _ in range(20)]

    assert statuses == [200] * 20


def test_a_taken_port_is_an_error_at_the_start(server: RestServer, services: Services) -> None:
    with pytest.raises(OSError):
        RestServer(services, "127.0.0.1", server.port).start()


# The tables.


def test_a_literal_wins_over_a_field_and_a_tail_takes_slashes(services: Services) -> None:
    table = RouteTable(services.routes.values())

    latest = table.find("GET", "/cosmos/base/tendermint/v1beta1/blocks/latest")
    by_height = table.find("GET", "/cosmos/base/tendermint/v1beta1/blocks/7")
    denom = table.find("GET", "/cosmos/bank/v1beta1/denoms_metadata/ibc/ABC")

    assert latest.route.method == "GetLatestBlock"
    assert (by_height.route.method, by_height.fields) == ("GetBlockByHeight", (("height", "7"),))
    assert denom.fields == (("denom", "ibc/ABC"),)
    with pytest.raises(QueryError):
        table.find("GET", "/cosmos/bank/v1beta1/balances//by_denom")


def test_enums_bytes_and_repeated_fields_are_read_from_text(services: Services) -> None:
    table = RouteTable(services.routes.values())
    match = table.find("GET", "/cosmos/tx/v1beta1/txs")

    request = request_of(match, "events=a%3D1&events=b%3D2&order_by=ORDER_BY_DESC&pagination.key=_-8", b"")

    assert isinstance(request, service_pb2.GetTxsEventRequest)
    assert list(request.events) == ["a=1", "b=2"]
    assert request.order_by == service_pb2.ORDER_BY_DESC
    assert request.pagination.key == b"\xff\xef"


def test_fields_that_a_request_does_not_have_are_left_out(services: Services) -> None:
    match = RouteTable(services.routes.values()).find("GET", "/cosmos/bank/v1beta1/supply")

    request = request_of(match, "cache=1&pagination.nope=2&pagination.limit.deep=3", b"")

    assert request == match.route.request()


def test_who_asks_for_longer_pages_of_transactions_gets_the_longest_there_are(chain: Chain) -> None:
    class Searched(CometRpc):
        limits: ClassVar[list[int]] = []

        def search(self, query: str, page: int, limit: int, order: str) -> dict[str, Any]:
            self.limits.append(limit)
            return {"txs": [], "total_count": "0"}

    services = Services(chain.app, Searched(NO_COMET))
    path = "/cosmos.tx.v1beta1.Service/GetTxsEvent"

    for limit in (0, 7, 1000):
        request = service_pb2.GetTxsEventRequest(query="tx.height=1", limit=limit)
        services.answer(path, request.SerializeToString())

    assert Searched.limits == [100, 7, 100]


def test_json_has_bytes_in_base64_and_no_floats() -> None:
    response = abci_pb2.TxResponse(height=2**62, data="0A", gas_used=5)

    value = json.loads(as_json(response))

    assert value["height"] == str(2**62)
    assert value["data"] == "0A"
    assert value["events"] == []


def test_a_message_that_is_not_there_is_null_and_the_sides_of_a_oneof_are_left_out() -> None:
    account = auth_pb2.BaseAccount(address="a")
    packed = any_pb2.Any(type_url="/cosmos.auth.v1beta1.BaseAccount", value=account.SerializeToString())
    modes = tx_pb2.ModeInfo(single=tx_pb2.ModeInfo.Single(mode="SIGN_MODE_DIRECT"))
    tx = tx_pb2.Tx(auth_info=tx_pb2.AuthInfo(signer_infos=[tx_pb2.SignerInfo(mode_info=modes)]))

    assert json.loads(as_json(account))["pub_key"] is None
    assert json.loads(as_json(auth_query.QueryAccountResponse(account=packed)))["account"]["pub_key"] is None
    assert json.loads(as_json(upgrade_query.QueryCurrentPlanResponse())) == {"plan": None}
    shown = json.loads(as_json(tx))
    assert shown["body"] is None
    (info,) = shown["auth_info"]["signer_infos"]
    assert info["public_key"] is None
    assert info["mode_info"] == {"single": {"mode": "SIGN_MODE_DIRECT"}}
    assert json.loads(as_json(service_pb2.GetTxsEventResponse()))["pagination"] is None


def test_the_swagger_page_describes_every_route_of_the_gateway(
    http: httpx2.Client, services: Services
) -> None:
    page, described = http.get("/swagger/"), http.get("/swagger/openapi.json").json()

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "openapi.json" in page.text
    # Nothing of it comes from elsewhere.
    assert "http://" not in page.text and "https://" not in page.text
    declared = {
        (verb.lower(), path.replace("=**", ""))
        for route in services.routes.values()
        for verb, path, _ in route.http
    }
    assert {(verb, path) for path, verbs in described["paths"].items() for verb in verbs} == declared


def test_the_description_names_parameters_bodies_and_answers(http: httpx2.Client) -> None:
    described = http.get("/swagger/openapi.json").json()
    paths, schemas = described["paths"], described["components"]["schemas"]

    balance = paths["/cosmos/bank/v1beta1/balances/{address}/by_denom"]["get"]
    assert [(each["name"], each["in"]) for each in balance["parameters"]] == [
        ("address", "path"),
        ("denom", "query"),
    ]
    balances = paths["/cosmos/bank/v1beta1/balances/{address}"]["get"]
    assert "pagination.limit" in {each["name"] for each in balances["parameters"]}
    simulated = paths["/cosmos/tx/v1beta1/simulate"]["post"]["requestBody"]["content"]["application/json"]
    assert simulated["schema"] == {"$ref": "#/components/schemas/cosmos.tx.v1beta1.SimulateRequest"}
    assert schemas["cosmos.auth.v1beta1.BaseAccount"]["properties"]["sequence"] == {
        "type": "string",
        "format": "uint64",
    }
    referenced = set(re.findall(r"#/components/schemas/([\w.]+)", json.dumps(described)))
    assert referenced == set(schemas)
