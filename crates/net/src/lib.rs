//! gopark-net: Go's net package on std's conventions: TcpListener, TcpConn, listen, dial.
