package agent

import (
	"os"
	"testing"

	"weir/internal/link"
)

const (
	procStat = `cpu  100 20 30 4000 50 6 7 8 9 0
cpu0 50 10 15 2000 25 3 3 4 4 0
cpu1 50 10 15 2000 25 3 4 4 5 0
intr 12345 0 0
`
	procMemory = `MemTotal:        8000000 kB
MemFree:          100000 kB
MemAvailable:    6000000 kB
`
	procNetwork = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 9999 1 0 0 0 0 0 0 9999 1 0 0 0 0 0 0
  eth0: 1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0
  eth1:  500 1 0 0 0 0 0 0  700 1 0 0 0 0 0 0
   br0: 1500 1 0 0 0 0 0 0 2700 1 0 0 0 0 0 0
`
)

func TestMachineIsRead(t *testing.T) {
	t.Parallel()
	var m link.MachineReport
	cpuOf(procStat, &m)
	memoryOf(procMemory, &m)
	networkOf(procNetwork, func(name string) bool { return name != "br0" }, &m)
	residentOf("5000 300 200 1 0 100 0\n", &m)
	want := link.MachineReport{
		Processors: 2, CPU: link.CPUTime{User: 1200, System: 300, Interrupt: 130, Wait: 500, Steal: 80, Idle: 40_000},
		MemoryUsed: 2_000_000 << 10, MemoryTotal: 8_000_000 << 10, Received: 1500, Sent: 2700, HAProxyMemory: 300 * uint64(os.Getpagesize()),
	}
	if m != want {
		t.Errorf("%+v, want %+v", m, want)
	}
	m = link.MachineReport{}
	networkOf(procNetwork, func(string) bool { return false }, &m)
	if m.Received != 3000 || m.Sent != 5400 {
		t.Errorf("where no interface is real %+v", m)
	}
	for _, text := range []string{"", "cpu", "cpu a b c d e f g h", "eth0:", "1"} {
		var none link.MachineReport
		cpuOf(text, &none)
		memoryOf(text, &none)
		networkOf(text, physical, &none)
		residentOf(text, &none)
		if none != (link.MachineReport{}) {
			t.Errorf("%q: %+v", text, none)
		}
	}
}
