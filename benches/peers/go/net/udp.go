package main

import (
	"fmt"
	"net"
	"slices"
	"syscall"
	"time"
)

const (
	// small is the bytes of a small datagram, full those of one that fills a packet.
	small = 64
	full  = 1200
	// burst is how many datagrams are on their way at a time.
	burst = 64
)

func init() {
	operations["udp-ping"] = udpPing
	operations["udp-self"] = udpSelf
	operations["udp-batch"] = func() { udpBursts(small) }
	operations["udp-single"] = func() { udpBursts(small) }
	operations["udp-segments"] = func() { udpBursts(full) }
}

func localUDP() *net.UDPConn {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(err)
	check(conn.SetReadBuffer(1 << 20))
	return conn
}

func cpu() time.Duration {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// measure prints time and CPU time of a batch, for each of its operations and of its packets: medians.
func measure(ops, packets int, batch func()) {
	batch()
	var times, cpuTimes []float64
	for range batches {
		mark, start := cpu(), time.Now()
		batch()
		times = append(times, float64(time.Since(start))/float64(ops))
		cpuTimes = append(cpuTimes, float64(cpu()-mark)/float64(packets))
	}
	slices.Sort(times)
	slices.Sort(cpuTimes)
	fmt.Printf("ns %.3f\ncpu_ns %.3f\n", times[batches/2], cpuTimes[batches/2])
}

// udpPing sends a datagram there and another back; whoever waits is parked.
func udpPing() {
	const count = 20_000
	client, server := localUDP(), localUDP()
	at := server.LocalAddr().(*net.UDPAddr).AddrPort()
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := server.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if _, err := server.WriteToUDPAddrPort(buf[:n], from); err != nil {
				return
			}
		}
	}()
	out, in := make([]byte, small), make([]byte, 512)
	measure(count, 2*count, func() {
		for range count {
			_, err := client.WriteToUDPAddrPort(out, at)
			check(err)
			_, _, err = client.ReadFromUDPAddrPort(in)
			check(err)
		}
	})
	server.Close()
}

// udpSelf sends a datagram to the socket that sends it.
func udpSelf() {
	const count = 40_000
	conn := localUDP()
	at := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	out, in := make([]byte, small), make([]byte, 512)
	measure(count, count, func() {
		for range count {
			_, err := conn.WriteToUDPAddrPort(out, at)
			check(err)
			_, _, err = conn.ReadFromUDPAddrPort(in)
			check(err)
		}
	})
}

// udpBursts sends bursts, and then receives them: a call for each datagram, since net has no other.
func udpBursts(size int) {
	const bursts = 600
	sender, receiver := localUDP(), localUDP()
	at := receiver.LocalAddr().(*net.UDPAddr).AddrPort()
	out, in := make([]byte, size), make([]byte, 2048)
	measure(bursts*burst, bursts*burst, func() {
		for range bursts {
			for range burst {
				_, err := sender.WriteToUDPAddrPort(out, at)
				check(err)
			}
			for range burst {
				_, _, err := receiver.ReadFromUDPAddrPort(in)
				check(err)
			}
		}
	})
}
