"""Says READY=1 on $NOTIFY_SOCKET as soon as the file in argv[1] exists, then "said" on stdout, and waits."""

import os
import signal
import socket
import sys
import time

while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
address = os.environ["NOTIFY_SOCKET"]
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaking:
    speaking.connect("\0" + address[1:] if address.startswith("@") else address)
    speaking.send(b"STATUS=at work\nREADY=1")
print("said", flush=True)
signal.pause()
