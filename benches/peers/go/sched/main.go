// Command sched prints what one of Go's scheduling operations costs, `METRIC VALUE` a line.
//
// The same operations, in the same shapes and numbers, as benches/src/bin/sched_gopark.rs; benches/README.md says what
// each does. Short ones run several times and the median counts: a single neighbour on the core must not decide.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gopark.invalid/peers/peer"
)

const batches = 9

func main() {
	op := flag.String("op", "", "what to measure")
	procs := flag.Int("procs", 1, "GOMAXPROCS")
	count := flag.Int("count", 200_000, "goroutines of a burst")
	sockets := flag.Int("sockets", 0, "open connections of a quiet process")
	flag.Parse()
	peer.TieToParent()
	runtime.GOMAXPROCS(*procs)
	switch *op {
	case "pingpong":
		report(pingPong)
	case "chan":
		report(buffered)
	case "select":
		report(selectOfTwo)
	case "mutex":
		report(mutex)
	case "contended":
		report(contended)
	case "timer":
		report(timer)
	case "fanout":
		report(fanout)
	case "sleepers":
		sleepers()
	case "skynet":
		skynet()
	case "wake":
		wake()
	case "burst":
		burst(*count)
	case "quiet":
		quiet(*sockets)
	default:
		fmt.Fprintf(os.Stderr, "sched: no operation %q\n", *op)
		os.Exit(2)
	}
}

func report(once func() float64) {
	once()
	var found []float64
	for range batches {
		found = append(found, once())
	}
	slices.Sort(found)
	fmt.Printf("ns %.2f\n", found[len(found)/2])
}

func each(start time.Time, count int) float64 {
	return float64(time.Since(start)) / float64(count)
}

// pingPong hands a number to another goroutine over an unbuffered channel, and gets it back over another.
func pingPong() float64 {
	const count = 50_000
	ping, pong := make(chan int), make(chan int)
	go func() {
		for i := range ping {
			pong <- i
		}
		close(pong)
	}()
	start := time.Now()
	for i := range count {
		ping <- i
		if <-pong != i {
			panic("not the number that was sent")
		}
	}
	took := each(start, count)
	close(ping)
	<-pong
	return took
}

// buffered passes numbers through a channel with room for 128.
func buffered() float64 {
	const count = 500_000
	numbers := make(chan int, 128)
	start := time.Now()
	go func() {
		for i := range count {
			numbers <- i
		}
		close(numbers)
	}()
	sum := 0
	for i := range numbers {
		sum += i
	}
	took := each(start, count)
	if sum != count*(count-1)/2 {
		panic("numbers were lost")
	}
	return took
}

// selectOfTwo receives from whichever of two channels has something, and fills the other one.
func selectOfTwo() float64 {
	const count = 200_000
	a, b := make(chan int, 1), make(chan int, 1)
	a <- 0
	start := time.Now()
	for range count {
		select {
		case i := <-a:
			b <- i
		case i := <-b:
			a <- i
		}
	}
	return each(start, count)
}

// mutex locks and unlocks a mutex that nobody else wants.
func mutex() float64 {
	const count = 1_000_000
	var lock sync.Mutex
	guarded := 0
	start := time.Now()
	for range count {
		lock.Lock()
		guarded++
		lock.Unlock()
	}
	took := each(start, count)
	if guarded != count {
		panic("not counted")
	}
	return took
}

// contended has four goroutines lock and unlock the same mutex.
func contended() float64 {
	const goroutines, count = 4, 50_000
	var lock sync.Mutex
	guarded := 0
	var wg sync.WaitGroup
	wg.Add(goroutines)
	start := time.Now()
	for range goroutines {
		go func() {
			for range count {
				lock.Lock()
				guarded++
				lock.Unlock()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	took := each(start, goroutines*count)
	if guarded != goroutines*count {
		panic("the lock does not exclude")
	}
	return took
}

// timer starts a timer and stops it.
func timer() float64 {
	const count = 200_000
	start := time.Now()
	for range count {
		if !time.NewTimer(time.Second).Stop() {
			panic("it fired")
		}
	}
	return each(start, count)
}

// fanout starts a hundred goroutines and waits for all.
func fanout() float64 {
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

// sleepers has 100,000 goroutines sleep for a millisecond each, all started at once.
func sleepers() {
	const count = 100_000
	once := func() float64 {
		var wg sync.WaitGroup
		wg.Add(count)
		start := time.Now()
		for range count {
			go func() {
				time.Sleep(time.Millisecond)
				wg.Done()
			}()
		}
		wg.Wait()
		return float64(time.Since(start)) / 1e6
	}
	once()
	var found []float64
	for range 5 {
		found = append(found, once())
	}
	slices.Sort(found)
	fmt.Printf("ms %.3f\n", found[len(found)/2])
}

// skynet sums a million numbers in a tree of goroutines, ten to a node.
func skynet() {
	once := func() float64 {
		start := time.Now()
		sum := make(chan int, 1)
		go branch(sum, 0, 1_000_000)
		if <-sum != 499_999_500_000 {
			panic("not the sum")
		}
		return float64(time.Since(start)) / 1e6
	}
	cold := once()
	var found []float64
	for range 5 {
		found = append(found, once())
	}
	slices.Sort(found)
	fmt.Printf("cold_ms %.3f\nwarm_ms %.3f\n", cold, found[len(found)/2])
}

func branch(parent chan<- int, number, size int) {
	if size == 1 {
		parent <- number
		return
	}
	sums := make(chan int, 10)
	for i := range 10 {
		go branch(sums, number+i*(size/10), size/10)
	}
	sum := 0
	for range 10 {
		sum += <-sums
	}
	parent <- sum
}

// wake readies two goroutines at a moment at which the other thread sleeps, and looks how long it takes until one of
// them runs there.
func wake() {
	const rounds = 2000
	var running atomic.Int64
	begin := time.Now()
	var doors [2]chan struct{}
	for i := range doors {
		doors[i] = make(chan struct{}, 1)
		go func() {
			for range doors[i] {
				running.CompareAndSwap(0, int64(time.Since(begin)))
			}
		}()
	}
	var found []int64
	for range rounds {
		// Long enough for everybody else to go to sleep.
		time.Sleep(500 * time.Microsecond)
		running.Store(0)
		start := time.Since(begin)
		for i := range doors {
			doors[i] <- struct{}{}
		}
		// The caller keeps its thread busy: who runs now runs on the other.
		for running.Load() == 0 && time.Since(begin)-start < 20*time.Millisecond {
		}
		if ran := running.Load(); ran != 0 {
			found = append(found, ran-int64(start))
		} else {
			found = append(found, int64(time.Since(begin)-start))
		}
	}
	slices.Sort(found)
	fmt.Printf("p50_us %.2f\np99_us %.2f\n", float64(found[rounds/2])/1e3, float64(found[rounds*99/100])/1e3)
}

// burst says `ready`, waits for the end of its input, has `count` goroutines alive at once, and when all are gone says
// `done` and stays.
func burst(count int) {
	crowd(1000)
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	crowd(count)
	fmt.Println("done")
	for {
		time.Sleep(time.Hour)
	}
}

func crowd(count int) {
	release := make(chan struct{})
	var parked, ended sync.WaitGroup
	parked.Add(count)
	ended.Add(count)
	for range count {
		go func() {
			parked.Done()
			<-release
			ended.Done()
		}()
	}
	parked.Wait()
	close(release)
	ended.Wait()
}

// quiet does a little of everything, says `quiet` and does nothing any more, with goroutines that wait: for a channel,
// and for a byte on each of `sockets` connections.
func quiet(sockets int) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	for range sockets {
		near, err := net.Dial("tcp", listener.Addr().String())
		check(err)
		far, err := listener.Accept()
		check(err)
		_, err = near.Write([]byte{1})
		check(err)
		_, err = far.Read(make([]byte, 1))
		check(err)
		go func() {
			far.Read(make([]byte, 1))
			panic(near)
		}()
	}
	never := make(chan int)
	go func() { <-never }()
	crowd(1000)
	time.Sleep(time.Millisecond)
	fmt.Println("quiet")
	io.Copy(io.Discard, os.Stdin)
	never <- 1
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "sched:", err)
		os.Exit(1)
	}
}
