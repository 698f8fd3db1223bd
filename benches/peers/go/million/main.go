// Command million parks many goroutines at once: prints `ready`, waits for the end of its input, parks them, prints
// `parked NANOSECONDS`, and stays until it is killed.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"gopark.invalid/peers/peer"
)

func main() {
	count := flag.Int("count", 1_000_000, "goroutines")
	procs := flag.Int("procs", 2, "GOMAXPROCS")
	flag.Parse()
	peer.TieToParent()
	runtime.GOMAXPROCS(*procs)
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)

	release := make(chan struct{})
	var parked sync.WaitGroup
	parked.Add(*count)
	start := time.Now()
	for range *count {
		go func() {
			parked.Done()
			<-release
		}()
	}
	parked.Wait()
	fmt.Println("parked", time.Since(start).Nanoseconds())
	for {
		// Waiting for the channel too would be a deadlock in Go's eyes.
		time.Sleep(time.Hour)
	}
}
