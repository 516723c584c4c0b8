package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"weir/internal/hapctl"
	"weir/internal/link"
)

// machineEvery is how often the machine is looked at.
const machineEvery = 5 * time.Second

// machineWatch looks how the machine and HAProxy are off, from time to time.
type machineWatch struct {
	last *link.MachineReport
	at   time.Time
}

// look gives what was seen last; pid is HAProxy's worker.
func (w *machineWatch) look(ctx context.Context, client *hapctl.Client, pid int) *link.MachineReport {
	if w.last != nil && time.Since(w.at) < machineEvery {
		return w.last
	}
	m := &link.MachineReport{}
	readInto("/proc/stat", m, cpuOf)
	readInto("/proc/meminfo", m, memoryOf)
	readInto("/proc/net/dev", m, func(text string, m *link.MachineReport) { networkOf(text, physical, m) })
	readInto("/proc/loadavg", m, func(text string, m *link.MachineReport) { _, _ = fmt.Sscan(text, &m.Load) })
	if pid > 0 {
		readInto(fmt.Sprintf("/proc/%d/statm", pid), m, residentOf)
	}
	if info, err := client.Info(ctx); err == nil {
		if idle, err := strconv.Atoi(info.All["Idle_pct"]); err == nil && idle >= 0 && idle <= 100 {
			m.HAProxyIdle = &idle
		}
	}
	w.last, w.at = m, time.Now()
	return m
}

// readInto reads one of the kernel's files; what can't be read is not told.
func readInto(path string, m *link.MachineReport, read func(string, *link.MachineReport)) {
	if text, err := os.ReadFile(path); err == nil {
		read(string(text), m)
	}
}

// tick is the unit of /proc/stat in milliseconds, the same on all machines since the kernel made it so (USER_HZ).
const tick = 10

// cpuOf reads /proc/stat: of all processors user, nice, system, idle, iowait, irq, softirq and steal.
func cpuOf(text string, m *link.MachineReport) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 9 || !strings.HasPrefix(fields[0], "cpu") {
			continue
		}
		if fields[0] != "cpu" {
			m.Processors++
			continue
		}
		var n [8]uint64
		for i := range n {
			n[i] = numberOf(fields[1+i]) * tick
		}
		m.CPU = link.CPUTime{User: n[0] + n[1], System: n[2], Idle: n[3], Wait: n[4], Interrupt: n[5] + n[6], Steal: n[7]}
	}
}

// memoryOf reads /proc/meminfo.
func memoryOf(text string, m *link.MachineReport) {
	var available uint64
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "MemTotal:":
			m.MemoryTotal = numberOf(fields[1]) << 10
		case "MemAvailable:":
			available = numberOf(fields[1]) << 10
		}
	}
	m.MemoryUsed = m.MemoryTotal - min(available, m.MemoryTotal)
}

// networkOf reads /proc/net/dev. What goes over a bridge or a bond goes over an interface behind it too, so that only those
// that are real count, or all of them where none is, as in a container.
func networkOf(text string, real func(name string) bool, m *link.MachineReport) {
	var of [2][2]uint64
	any := 0
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		fields := strings.Fields(rest)
		if !ok || len(fields) < 9 || name == "lo" {
			continue
		}
		kind := 0
		if real(name) {
			kind, any = 1, 1
		}
		of[kind][0] += numberOf(fields[0])
		of[kind][1] += numberOf(fields[8])
	}
	m.Received, m.Sent = of[any][0], of[any][1]
}

// physical says that a device is behind an interface.
func physical(name string) bool {
	_, err := os.Stat(filepath.Join("/sys/class/net", filepath.Base(name), "device"))
	return err == nil
}

// residentOf reads /proc/PID/statm.
func residentOf(text string, m *link.MachineReport) {
	if fields := strings.Fields(text); len(fields) > 1 {
		m.HAProxyMemory = numberOf(fields[1]) * uint64(os.Getpagesize())
	}
}

func numberOf(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
