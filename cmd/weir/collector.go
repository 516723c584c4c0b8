package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// mostGrowth is by how many percent even the smallest heap grows at most.
const mostGrowth = 400

// collect has the collector run each time the heap has grown by so many percent, but lets a small one grow by least
// bytes: where hundreds of servers come at once, it would run again and again for a few megabytes, when the processor
// is wanted most. GOGC in the environment overrules it.
func collect(percent int, least uint64) {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(percent)
	now, live := percent, []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	afterCollection(func() {
		metrics.Read(live)
		if next := growth(live[0].Value.Uint64(), percent, least); next != now {
			debug.SetGCPercent(next) // which stops everything for a moment
			now = next
		}
	})
}

// growth is by how many percent a heap with so many bytes in use may grow, in steps of 25 beyond percent.
func growth(live uint64, percent int, least uint64) int {
	room := min(least*100/max(live, 1), mostGrowth)
	return max(percent, int(room/25*25))
}

// afterCollection calls f after each run of the collector.
func afterCollection(f func()) {
	type mark struct{ f func() }
	var again func(*mark)
	again = func(m *mark) {
		m.f()
		runtime.SetFinalizer(m, again)
	}
	runtime.SetFinalizer(&mark{f}, again)
}
