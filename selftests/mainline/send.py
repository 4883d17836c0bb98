#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The pattern that the kernel's ncdevmem validates with "-v 7", over TCP from a
given port: send.py ADDRESS PORT BYTES SIZE [LAST], in writes of 1 to SIZE bytes.
Each seventh byte is LAST, 0 if not given."""

import random
import socket
import sys
import time

address, port, total, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
last = int(sys.argv[5]) if len(sys.argv) > 5 else 0
pattern = bytes([1, 2, 3, 4, 5, 6, last]) * (size // 7 + 2)
rng = random.Random(7)

for attempt in range(100):
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
    try:
        sock.connect((address, port))
        break
    except OSError:
        sock.close()
        time.sleep(0.2)
else:
    sys.exit("send.py: nobody listens")

sent = 0
while sent < total:
    n = min(rng.randint(1, size), total - sent)
    sock.sendall(pattern[sent % 7:sent % 7 + n])
    sent += n
sock.close()
