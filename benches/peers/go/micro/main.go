// Command micro prints what Go's own operations cost, one `NAME NANOSECONDS` a line, with GOMAXPROCS 1.
//
// The same operations, in the same numbers, as benches/src/bin/micro_gopark.rs. Each is run several times and the
// median reported: a single neighbour on the core must not decide.
package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"gopark.invalid/peers/peer"
)

const (
	batches = 9
	crowd   = 50_000
)

func main() {
	peer.TieToParent()
	runtime.GOMAXPROCS(1)
	// First, while no goroutine of the crowd exists yet: the cold figure is about making them.
	cold, warm := crowds()
	report("create", create)
	report("join", join)
	report("yield2", func() float64 { return yield(2) })
	report("yield1000", func() float64 { return yield(1000) })
	report("pingpong", pingPong)
	report("deadline", deadline())
	fmt.Printf("cold50k %.2f\nwarm50k %.2f\n", cold, warm)
}

func report(name string, once func() float64) {
	once()
	var found []float64
	for range batches {
		found = append(found, once())
	}
	slices.Sort(found)
	fmt.Printf("%s %.2f\n", name, found[len(found)/2])
}

func each(start time.Time, count int) float64 {
	return float64(time.Since(start)) / float64(count)
}

// create starts goroutines a hundred at a time and waits for each hundred.
func create() float64 {
	const rounds, group = 1000, 100
	start := time.Now()
	for range rounds {
		var wg sync.WaitGroup
		wg.Add(group)
		for range group {
			go wg.Done()
		}
		wg.Wait()
	}
	return each(start, rounds*group)
}

// join starts one goroutine and waits for its result.
func join() float64 {
	const count = 50_000
	start := time.Now()
	for i := range count {
		result := make(chan int, 1)
		go func() { result <- i }()
		if <-result != i {
			panic("not the goroutine's result")
		}
	}
	return each(start, count)
}

// yield has a number of goroutines do nothing but yield.
func yield(goroutines int) float64 {
	rounds := 200_000 / goroutines
	var wg sync.WaitGroup
	wg.Add(goroutines)
	start := time.Now()
	for range goroutines {
		go func() {
			for range rounds {
				runtime.Gosched()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	return each(start, goroutines*rounds)
}

// pingPong hands a word to another goroutine and back.
func pingPong() float64 {
	const count = 50_000
	ping, pong := make(chan struct{}), make(chan struct{})
	go func() {
		for range ping {
			pong <- struct{}{}
		}
		close(pong)
	}()
	start := time.Now()
	for range count {
		ping <- struct{}{}
		<-pong
	}
	took := each(start, count)
	close(ping)
	<-pong
	return took
}

// deadline moves the read deadline of a live connection, which its peer keeps waiting in a read.
func deadline() func() float64 {
	const count = 100_000
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	conn, err := net.Dial("tcp", listener.Addr().String())
	check(err)
	_, err = listener.Accept()
	check(err)
	return func() float64 {
		start := time.Now()
		for range count {
			check(conn.SetReadDeadline(time.Now().Add(30 * time.Second)))
		}
		return each(start, count)
	}
}

// crowds starts goroutines that are all alive at once: each parks until all have been started. Returns the cost of
// the first crowd, whose stacks are new, and the median of later ones.
func crowds() (cold, warm float64) {
	once := func() float64 {
		release := make(chan struct{})
		var parked, ended sync.WaitGroup
		parked.Add(crowd)
		ended.Add(crowd)
		start := time.Now()
		for range crowd {
			go func() {
				parked.Done()
				<-release
				ended.Done()
			}()
		}
		parked.Wait()
		took := each(start, crowd)
		close(release)
		ended.Wait()
		return took
	}
	cold = once()
	var later []float64
	for range 5 {
		later = append(later, once())
	}
	slices.Sort(later)
	return cold, later[len(later)/2]
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "micro:", err)
		os.Exit(1)
	}
}
