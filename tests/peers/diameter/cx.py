"""Asks an HSS over Cx with python-diameter; after the project's probe cx_probe.py.

Usage: cx.py HOST PORT REALM HSS-HOST IMPI SCSCF-URI. Prints one line for each answer.
"""
import sys

from diameter.message import Avp
from diameter.message.avp.generator import AvpGenDef
from diameter.message.avp.grouped import VendorSpecificApplicationId
from diameter.message.commands import (
    LocationInfoRequest, MultimediaAuthRequest, ServerAssignmentRequest, UserAuthorizationRequest)
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

node = Node("scscf." + realm, realm, vendor_ids=[VENDOR])
peer = node.add_peer("aaa://%s:%s;transport=tcp" % (hss, port), realm_name=realm,
                     ip_addresses=[host], is_persistent=True)
app = SimpleThreadingApplication(APPLICATION, is_auth_application=True, is_acct_application=False)
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
    message.auth_session_state = E_AUTH_SESSION_STATE_NO_STATE_MAINTAINED
    message.vendor_specific_application_id = VendorSpecificApplicationId(
        vendor_id=VENDOR, auth_application_id=APPLICATION)
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
node.stop()
