package main

import (
	"io"
	"net"
	"os"
	"sync"
)

func init() {
	operations["copy-splice"] = func() { proxy(func(to, from net.Conn) { io.Copy(to, from) }) }
	operations["copy-memory"] = func() {
		proxy(func(to, from net.Conn) { io.Copy(struct{ io.Writer }{to}, struct{ io.Reader }{from}) })
	}
	operations["copy-sendfile"] = sendfile
	operations["copy-writev"] = writev
}

const (
	mib = 1 << 20
	// copyBatch is what one batch moves.
	copyBatch = 256
	// chunk is what the writer at one end writes, and the reader at the other reads, at a time.
	chunk = 256 << 10
)

// discard reads n bytes.
func discard(conn net.Conn, n int) {
	buf := make([]byte, chunk)
	for n > 0 {
		got, err := conn.Read(buf)
		check(err)
		n -= got
	}
}

// with runs write on a goroutine while this one discards what it writes.
func with(server net.Conn, write func()) {
	var writer sync.WaitGroup
	writer.Add(1)
	go func() {
		defer writer.Done()
		write()
	}()
	discard(server, copyBatch*mib)
	writer.Wait()
}

// proxy: one goroutine writes, one copies from connection to connection, one reads. Each MiB.
func proxy(copyAll func(to, from net.Conn)) {
	client, from := pair()
	to, server := pair()
	go copyAll(to, from)
	buf := make([]byte, chunk)
	measure(copyBatch, copyBatch, func() {
		with(server, func() {
			for range copyBatch * mib / chunk {
				_, err := client.Write(buf)
				check(err)
			}
		})
	})
}

// sendfile sends a file that is in the page cache. Each MiB.
func sendfile() {
	file, err := os.CreateTemp("", "gopark-bench")
	check(err)
	os.Remove(file.Name())
	buf := make([]byte, mib)
	for range copyBatch {
		_, err := file.Write(buf)
		check(err)
	}
	to, server := pair()
	measure(copyBatch, copyBatch, func() {
		with(server, func() {
			_, err := file.Seek(0, io.SeekStart)
			check(err)
			_, err = to.(*net.TCPConn).ReadFrom(file)
			check(err)
		})
	})
}

// writev writes 64 pieces of 1 KiB a call. Each MiB.
func writev() {
	const count = 64
	to, server := pair()
	piece := make([]byte, 1024)
	measure(copyBatch, copyBatch, func() {
		with(server, func() {
			for range copyBatch * mib / (count * len(piece)) {
				buffers := make(net.Buffers, count)
				for i := range buffers {
					buffers[i] = piece
				}
				_, err := buffers.WriteTo(to)
				check(err)
			}
		})
	})
}
