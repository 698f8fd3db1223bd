// Package peer holds what the Go programs of the comparison share: the life tied to the parent's, and the extra load
// an echo server can be told to carry, the same as in ../../src/server.rs.
package peer

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	prSetPdeathsig    = 1
	clockMonotonic    = 1
	clockThreadCPU    = 3
	calibrateBatches  = 10
	calibrateUnits    = 100
	reportEvery       = 50 * time.Millisecond
	workUnitXorshifts = 20_000
)

// In init the main goroutine is still on the main thread, to which the kernel ties this setting and which Go never ends.
func init() {
	TieToParent()
}

// TieToParent has the kernel kill this process when its parent ends, so that nothing outlives a benchmark. It runs
// when this package is initialised; a program that needs nothing else of it calls it to say why it is imported.
func TieToParent() {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetPdeathsig, uintptr(syscall.SIGKILL), 0); errno != 0 {
		fmt.Fprintln(os.Stderr, "cannot tie this process to its parent:", errno)
		os.Exit(2)
	}
}

var (
	hogUnits atomic.Uint64
	blocked  atomic.Uint64
	sink     uint64
)

// Hog loops for ever without a call.
func Hog() {
	for {
		sink = workUnit(0x9E3779B97F4A7C15)
		hogUnits.Add(1)
	}
}

// Block blocks the thread in the kernel.
func Block(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	// Interrupted by the runtime's own preemption signal, it goes on with what is left.
	for syscall.Nanosleep(&ts, &ts) == syscall.EINTR {
	}
	blocked.Add(1)
}

//go:noinline
func workUnit(x uint64) uint64 {
	for range workUnitXorshifts {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

func clock(id uintptr) int64 {
	var ts syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

func calibrate() float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	best := 1e18
	for range calibrateBatches {
		start := clock(clockThreadCPU)
		for range calibrateUnits {
			sink = workUnit(0x9E3779B97F4A7C15)
		}
		best = min(best, float64(clock(clockThreadCPU)-start)/calibrateUnits)
	}
	return best
}

// Announce says where the server listens, and reports on the extra load every 50 ms if there is any.
func Announce(addr string, extraLoad bool) {
	if extraLoad {
		unit := calibrate()
		go func() {
			out := bufio.NewWriter(os.Stdout)
			for {
				time.Sleep(reportEvery)
				hogNs := uint64(float64(hogUnits.Load()) * unit)
				fmt.Fprintf(out, "stat %d %d %d\n", clock(clockMonotonic), blocked.Load(), hogNs)
				out.Flush()
			}
		}()
	}
	fmt.Println("listening", addr)
}
