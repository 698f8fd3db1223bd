package main

import (
	"io"
	"net"
	"runtime"
	"sync"
	"time"
)

func init() {
	operations["tcp-oneshot"] = oneShot
	operations["tcp-pingpong"] = pingPong
	operations["tcp-readwrite"] = readWrite
	operations["tcp-readwrite1"] = readWrite
	operations["tcp-deadline"] = deadline
}

// oneShot connects, accepts, and closes on both sides. The server closes first and the client waits for that.
func oneShot() {
	const count = 2_000
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	dialer := net.Dialer{}
	target := listener.Addr().String()
	eachNs(count, func() time.Duration {
		buf := make([]byte, 1)
		start := time.Now()
		for range count {
			conn, err := dialer.Dial("tcp", target)
			check(err)
			conn.Read(buf)
			conn.Close()
		}
		return time.Since(start)
	})
	listener.Close()
}

// pair is a connection and its other end.
func pair() (client, server net.Conn) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	defer listener.Close()
	client, err = net.Dial("tcp", listener.Addr().String())
	check(err)
	server, err = listener.Accept()
	check(err)
	return client, server
}

// pingPong sends 512 bytes there and back over a connection that lives on.
func pingPong() {
	const count = 20_000
	client, server := pair()
	go func() {
		buf := make([]byte, 512)
		for {
			if _, err := io.ReadFull(server, buf); err != nil {
				return
			}
			if _, err := server.Write(buf); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 512)
	eachNs(count, func() time.Duration {
		start := time.Now()
		for range count {
			_, err := client.Write(buf)
			check(err)
			_, err = io.ReadFull(client, buf)
			check(err)
		}
		return time.Since(start)
	})
	client.Close()
}

// readWrite is a byte of one connection for each P.
func readWrite() {
	const count = 20_000
	pairs := runtime.GOMAXPROCS(0)
	eachNs(count*pairs, func() time.Duration {
		clients, servers := make([]net.Conn, pairs), make([]net.Conn, pairs)
		for i := range pairs {
			clients[i], servers[i] = pair()
			defer clients[i].Close()
			defer servers[i].Close()
		}
		start := time.Now()
		var wg sync.WaitGroup
		for i := range pairs {
			spawn(&wg, func() { bothWays(clients[i], servers[i], count) })
		}
		wg.Wait()
		return time.Since(start)
	})
}

// bothWays sends one byte at a time in both directions at once: a writer and a reader at either end, the server's joined
// by a channel.
func bothWays(client, server net.Conn, count int) {
	through := make(chan byte, 128)
	var wg sync.WaitGroup
	spawn(&wg, func() {
		var buf [1]byte
		for i := range count {
			buf[0] = byte(i)
			_, err := client.Write(buf[:])
			check(err)
		}
	})
	spawn(&wg, func() {
		defer close(through)
		var buf [1]byte
		for range count {
			_, err := io.ReadFull(server, buf[:])
			check(err)
			through <- buf[0]
		}
	})
	spawn(&wg, func() {
		var buf [1]byte
		for buf[0] = range through {
			_, err := server.Write(buf[:])
			check(err)
		}
	})
	var buf [1]byte
	for i := range count {
		_, err := io.ReadFull(client, buf[:])
		check(err)
		if buf[0] != byte(i) {
			panic("bytes come back in order")
		}
	}
	wg.Wait()
}

// spawn starts f and has wg wait for it.
func spawn(wg *sync.WaitGroup, f func()) {
	wg.Add(1)
	go func() {
		defer wg.Done()
		f()
	}()
}

// deadline moves the read deadline of a connection, a nanosecond at a time; no clock is read here.
func deadline() {
	const count = 200_000
	client, server := pair()
	defer server.Close()
	check(client.SetWriteDeadline(time.Now().Add(2 * time.Hour)))
	hour := time.Now().Add(time.Hour)
	eachNs(count, func() time.Duration {
		when := hour
		start := time.Now()
		for range count {
			check(client.SetReadDeadline(when))
			when = when.Add(1)
		}
		return time.Since(start)
	})
}
