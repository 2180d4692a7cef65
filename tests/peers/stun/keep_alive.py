"""A phone's keep-alive over UDP (RFC 5626 §4.4.2), made and read by aioice: keep_alive.py HOST PORT.

Prints the address that the answer tells, and the one that is so; then the error code for an attribute that
nobody has to understand.
"""

import socket
import sys

from aioice import stun


def ask(phone, attributes):
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, attributes=attributes)
    phone.send(bytes(request))
    answer = stun.parse_message(phone.recv(2048))
    assert answer.transaction_id == request.transaction_id
    return answer


phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
phone.settimeout(5)
phone.connect((sys.argv[1], int(sys.argv[2])))

answer = ask(phone, {"SOFTWARE": "a phone"})
print(answer.message_class.name, "%s:%d" % answer.attributes["XOR-MAPPED-ADDRESS"])
print("is", "%s:%d" % phone.getsockname())
answer = ask(phone, {"PRIORITY": 1})
print(answer.message_class.name, answer.attributes["ERROR-CODE"])
