// Command net prints what Go's network operations cost, `METRIC VALUE` a line.
//
// The same operations, in the same shapes and numbers, as benches/src/netops. An area a file; each adds its operations
// to the table.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"gopark.invalid/peers/peer"
)

// batches is odd, for medians: a single neighbour on the core must not decide.
const batches = 9

// operations by name; filled by the areas.
var operations = map[string]func(){}

func main() {
	op := flag.String("op", "", "what to measure")
	procs := flag.Int("procs", 1, "GOMAXPROCS")
	flag.Parse()
	peer.TieToParent()
	runtime.GOMAXPROCS(*procs)
	run, known := operations[*op]
	if !known {
		fmt.Fprintf(os.Stderr, "net: no operation %q\n", *op)
		os.Exit(2)
	}
	run()
}

// eachNs prints the nanoseconds for each of a batch's operations: the median of several batches, after one that only
// warms up.
func eachNs(count int, batch func() time.Duration) {
	batch()
	var found []float64
	for range batches {
		found = append(found, float64(batch())/float64(count))
	}
	slices.Sort(found)
	fmt.Printf("ns %.3f\n", found[batches/2])
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "net:", err)
		os.Exit(1)
	}
}
