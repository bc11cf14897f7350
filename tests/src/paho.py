"""A paho client driven by lines: commands on standard input, what happens on standard output.

Arguments: port, client id, version (3 or 4), clean session (0 or 1), keep alive in seconds, then `user=...`,
`password=...`, `will=<qos> <retain> <hex> <topic>` as wanted. Payloads are in hexadecimal.
"""

import sys
import threading

import paho.mqtt.client as mqtt

lock = threading.Lock()


def say(text):
    with lock:
        sys.stdout.buffer.write(text.encode() + b"\n")
        sys.stdout.buffer.flush()


def fields(text):
    qos, retain, payload, topic = text.split(" ", 3)
    return topic, bytes.fromhex(payload), int(qos), retain == "1"


port, client_id, version, clean, keep_alive = sys.argv[1:6]
options = dict(option.split("=", 1) for option in sys.argv[6:])
client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION1,
    client_id,
    clean_session=clean == "1",
    protocol=int(version),
    reconnect_on_failure=False,
)
client.max_inflight_messages_set(65535)
if "user" in options:
    client.username_pw_set(options["user"], options.get("password"))
if "will" in options:
    client.will_set(*fields(options["will"]))

client.on_connect = lambda c, u, flags, code: say(f"up {code} {flags['session present']}")
client.on_disconnect = lambda c, u, code: say("down")
client.on_subscribe = lambda c, u, mid, granted: say("granted " + " ".join(map(str, granted)))
client.on_unsubscribe = lambda c, u, mid: say("unsubscribed")
client.on_publish = lambda c, u, mid: say("published")
client.on_message = lambda c, u, m: say(f"message {m.qos} {m.retain:d} {m.payload.hex()} {m.topic}")

client.connect("127.0.0.1", int(port), int(keep_alive))
client.loop_start()
for line in sys.stdin.buffer:
    command, _, rest = line.decode().rstrip("\n").partition(" ")
    if command == "publish":
        client.publish(*fields(rest))
    elif command == "subscribe":
        # Pairs of QoS and filter, with tabs between all of them.
        parts = rest.split("\t")
        client.subscribe([(topic, int(qos)) for qos, topic in zip(parts[::2], parts[1::2])])
    elif command == "unsubscribe":
        client.unsubscribe(rest)
    elif command == "disconnect":
        client.disconnect()
        client.loop_stop()
        break
