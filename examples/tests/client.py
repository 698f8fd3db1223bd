"""Python's own sockets as a client of `echo`: what a server of gopark's meets in the wild."""

import socket
import sys
import threading

CONNECTIONS = 50
ROUNDS = 20
BIG = bytes(range(256)) * 8192  # 2 MiB: more than the socket buffers hold, so both ends must wait


def connect(addr):
    host, port = addr.rsplit(":", 1)
    conn = socket.create_connection((host, int(port)), timeout=30)
    conn.settimeout(30)
    return conn


def read_exactly(conn, n):
    chunks = []
    while n > 0:
        chunk = conn.recv(n)
        if not chunk:
            raise EOFError("the server closed with %d bytes missing" % n)
        chunks.append(chunk)
        n -= len(chunk)
    return b"".join(chunks)


def small_messages(addr, i):
    with connect(addr) as conn:
        for k in range(ROUNDS):
            message = b"connection %d message %d\n" % (i, k)
            conn.sendall(message)
            assert read_exactly(conn, len(message)) == message


def half_closed(addr):
    """Sends everything, closes its writing side, and only then expects the rest and the end."""
    with connect(addr) as conn:
        sender = threading.Thread(target=lambda: (conn.sendall(BIG), conn.shutdown(socket.SHUT_WR)))
        sender.start()
        back = read_exactly(conn, len(BIG))
        assert back == BIG, "the big message came back changed"
        assert conn.recv(1) == b"", "the server must close after the end of the stream"
        sender.join()


def main():
    addr = sys.argv[1]
    failures = []

    def guarded(f, *args):
        try:
            f(*args)
        except Exception as e:  # reported below, with the count
            failures.append("%s%r: %r" % (f.__name__, args, e))

    threads = [threading.Thread(target=guarded, args=(small_messages, addr, i)) for i in range(CONNECTIONS)]
    threads.append(threading.Thread(target=guarded, args=(half_closed, addr)))
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failures:
        sys.exit("\n".join(failures))
    print("%d messages echoed" % (CONNECTIONS * ROUNDS + 1))


main()
