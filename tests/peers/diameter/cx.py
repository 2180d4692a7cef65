"""Asks an HSS over Cx with python-diameter; after the project's probe cx_probe.py. Then it is the S-CSCF
that the HSS tells of changes: it waits for a PPR and an RTR.

Usage: cx.py HOST PORT REALM HSS-HOST IMPI SCSCF-URI. Prints one line for each answer, and for each
request that it is sent.
"""
import queue
import sys

from diameter.message import Avp
from diameter.message.avp.generator import AvpGenDef
from diameter.message.avp.grouped import VendorSpecificApplicationId
from diameter.message.commands import (
    LocationInfoRequest, MultimediaAuthRequest, PushProfileRequest, RegistrationTerminationRequest,
    ServerAssignmentRequest, UserAuthorizationRequest)
from diameter.message.constants import AVP_SESSION_ID, E_AUTH_SESSION_STATE_NO_STATE_MAINTAINED
from diameter.node import Node
from diameter.node.application import SimpleThreadingApplication

host, port, realm, hss, impi, scscf = sys.argv[1:]
impu = "sip:" + impi
APPLICATION, VENDOR = 16777216, 10415

# python-diameter 0.9 forgets Session-Id in some of these.
for kind in (UserAuthorizationRequest, MultimediaAuthRequest, ServerAssignmentRequest,
             LocationInfoRequest):
    if not any(d.attr_name == "session_id" for d in kind.avp_def):
        own = AvpGenDef("session_id", AVP_SESSION_ID, is_required=True)
        kind.avp_def = (own,) + tuple(kind.avp_def)

# It asks for more than TS 29.229 §6.1.9 and §6.1.11 do, where these are optional.
for kind, name in ((PushProfileRequest, "sip_auth_data_item"),
                   (RegistrationTerminationRequest, "public_identity")):
    kind.avp_def = tuple(d._replace(is_required=False) if d.attr_name == name else d
                         for d in kind.avp_def)

node = Node("scscf." + realm, realm, vendor_ids=[VENDOR])
peer = node.add_peer("aaa://%s:%s;transport=tcp" % (hss, port), realm_name=realm,
                     ip_addresses=[host], is_persistent=True)
told = queue.Queue()


def common(message):
    message.auth_session_state = E_AUTH_SESSION_STATE_NO_STATE_MAINTAINED
    message.vendor_specific_application_id = VendorSpecificApplicationId(
        vendor_id=VENDOR, auth_application_id=APPLICATION)


def be_told(app, message):
    answer = app.generate_answer(message, result_code=2001)
    common(answer)
    told.put(message)
    return answer


app = SimpleThreadingApplication(APPLICATION, is_auth_application=True, is_acct_application=False,
                                 request_handler=be_told)
node.add_application(app, [peer])
node.start()
app.wait_for_ready(timeout=10)
print("CEA ok")


def ask(name, message, **fields):
    message.header.application_id = APPLICATION
    message.session_id = node.session_generator.next_id()
    message.origin_host = node.origin_host.encode()
    message.origin_realm = realm.encode()
    message.destination_realm = realm.encode()
    message.destination_host = hss.encode()
    common(message)
    for key, value in fields.items():
        setattr(message, key, value)
    answer = app.send_request(message, timeout=5)
    code = getattr(answer, "result_code", None)
    if code is None:
        code = answer.experimental_result.experimental_result_code
    print(name, code, getattr(answer, "server_name", None) or "")
    return answer


def authenticate(name, who):
    message = MultimediaAuthRequest()
    # SIP-Auth-Data-Item by hand: python-diameter 0.9 uses AVP 377 in place of 608.
    scheme = Avp.new(608, VENDOR, value="Digest-AKAv1-MD5", is_mandatory=True)
    message.append_avp(Avp.new(612, VENDOR, value=[scheme], is_mandatory=True))
    answer = ask(name, message, user_name=who, public_identity="sip:" + who,
                 sip_number_auth_items=1, server_name=scscf)
    for item in (avp for avp in answer.avps if avp.code == 612):
        for avp in item.value:
            if avp.code in (609, 610):
                print(name, "avp", avp.code, len(avp.payload))


ask("LIA-before", LocationInfoRequest(), public_identity=impu)
ask("UAA", UserAuthorizationRequest(), user_name=impi, public_identity=impu,
    visited_network_identifier=realm.encode(), user_authorization_type=0)
authenticate("MAA", impi)
answer = ask("SAA", ServerAssignmentRequest(), user_name=impi, public_identity=[impu],
             server_name=scscf, server_assignment_type=1, user_data_already_available=0)
print("SAA-data", (answer.user_data or b"").decode())
ask("LIA", LocationInfoRequest(), public_identity=impu)
authenticate("MAA-unknown", "nobody@" + realm)


def next_request():
    """The next request of the HSS, with what every one has."""
    message = told.get(timeout=20)
    name = type(message).__name__
    for what, value, expected in (
            ("host", message.destination_host, node.origin_host.encode()),
            ("realm", message.destination_realm, realm.encode()),
            ("from", message.origin_host, hss.encode()),
            ("state", message.auth_session_state, E_AUTH_SESSION_STATE_NO_STATE_MAINTAINED),
            ("vendor", message.vendor_specific_application_id.vendor_id, VENDOR),
            ("user", message.user_name, impi)):
        assert value == expected, (name, what, value)
    return name, message


print("waits for PPR")
name, ppr = next_request()
print(name, ppr.user_data.decode())
print("waits for RTR")
name, rtr = next_request()
reason = rtr.deregistration_reason
print(name, reason.reason_code, reason.reason_info, len(rtr.find_avps((601, VENDOR))))
ask("LIA-after", LocationInfoRequest(), public_identity=impu)
node.stop()
