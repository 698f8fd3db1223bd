"""A link between two tun devices that delays and loses packets, for kernels without netem.

usage: link.py NEAR FAR DELAY_MS LOSS_PERCENT. Prints `ready` when both devices are there. The line `cut` on standard
input loses everything from then on; the end of standard input ends the program.
"""

import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN_WITHOUT_HEADER = 0x0001 | 0x1000
QUEUE_MAX = 1000  # packets under way; more are lost, as in a router


def open_tun(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN_WITHOUT_HEADER))
    return fd


def main():
    near, far = open_tun(sys.argv[1]), open_tun(sys.argv[2])
    delay, loss = float(sys.argv[3]) / 1000, float(sys.argv[4]) / 100
    other = {near: far, far: near}
    under_way = []  # (when it arrives, number, device, packet)
    number = 0
    dice = random.Random(1)
    print("ready", flush=True)
    while True:
        wait = max(0, under_way[0][0] - time.monotonic()) if under_way else None
        readable, _, _ = select.select([near, far, sys.stdin], [], [], wait)
        for fd in readable:
            if fd is sys.stdin:
                line = sys.stdin.readline()
                if not line:
                    return
                loss = 1
                under_way.clear()
                print("cut", flush=True)
                continue
            try:
                packet = os.read(fd, 65536)
            except OSError:  # not up yet
                continue
            if dice.random() >= loss and len(under_way) < QUEUE_MAX:
                number += 1
                heapq.heappush(under_way, (time.monotonic() + delay, number, other[fd], packet))
        while under_way and under_way[0][0] <= time.monotonic():
            _, _, fd, packet = heapq.heappop(under_way)
            try:
                os.write(fd, packet)
            except OSError:  # not up
                pass


main()
