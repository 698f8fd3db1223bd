// Command echo is the Go contender: package net, one goroutine and one buffer a connection.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"gopark.invalid/peers/peer"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "where to listen")
	procs := flag.Int("procs", 1, "GOMAXPROCS")
	hogs := flag.Int("hogs", 0, "handlers that loop for ever")
	blockers := flag.Int("blockers", 0, "handlers that block in a system call again and again")
	blockMs := flag.Float64("block-ms", 1, "how long each such call blocks")
	readDeadline := flag.Float64("read-deadline-s", 0, "a deadline set anew before each read")
	bufSize := flag.Int("buf", 4096, "size of the read buffer")
	flag.Parse()
	runtime.GOMAXPROCS(*procs)

	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		fail(err)
	}
	peer.Announce(listener.Addr().String(), *hogs+*blockers > 0)
	for range *hogs {
		go peer.Hog()
	}
	for range *blockers {
		go func() {
			for {
				peer.Block(time.Duration(*blockMs * float64(time.Millisecond)))
				runtime.Gosched()
			}
		}()
	}
	deadline := time.Duration(*readDeadline * float64(time.Second))
	for {
		conn, err := listener.Accept()
		if err != nil {
			fail(err)
		}
		if deadline == 0 {
			go echo(conn, *bufSize)
		} else {
			go echoWithDeadline(conn, *bufSize, deadline)
		}
	}
}

func echo(conn net.Conn, bufSize int) {
	defer conn.Close()
	buf := make([]byte, bufSize)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if _, err := conn.Write(buf[:n]); err != nil {
			return
		}
	}
}

func echoWithDeadline(conn net.Conn, bufSize int, limit time.Duration) {
	defer conn.Close()
	buf := make([]byte, bufSize)
	for {
		if conn.SetReadDeadline(time.Now().Add(limit)) != nil {
			return
		}
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if _, err := conn.Write(buf[:n]); err != nil {
			return
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "echo:", err)
	os.Exit(1)
}
