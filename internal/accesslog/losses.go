package accesslog

import (
	"bytes"
	"os"
	"strconv"
)

const (
	maxProcesses = 256  // HAProxy processes followed at once; old workers are few
	maxFrontends = 4096 // sequences in all of them
	idleSettles  = 60   // settles without a line after which an ended process is forgotten
)

// process is one HAProxy process that has sent lines.
type process struct {
	frontends map[string]*sequence
	born      bool // after the receiver began to listen: its numbers are expected from 0 on
	idle      int  // settles since its last line
}

// losses follows the log counters of every HAProxy process and frontend.
type losses struct {
	processes map[uint32]*process
	sequences int
	lost      uint64
	// bornSince tells whether a process began after the receiver did; alive whether it is there.
	bornSince func(pid uint32) bool
	alive     func(pid uint32) bool
}

func newLosses(since uint64) *losses {
	return &losses{
		processes: make(map[uint32]*process),
		bornSince: func(pid uint32) bool {
			began, ok := processStart(pid)
			return ok && began >= since
		},
		alive: func(pid uint32) bool {
			_, ok := processStart(pid)
			return ok
		},
	}
}

// note takes the number of a line that came.
func (o *losses) note(l *Line) {
	p := o.processes[l.PID]
	if p == nil {
		if len(o.processes) >= maxProcesses {
			return
		}
		p = &process{frontends: make(map[string]*sequence), born: o.bornSince(l.PID)}
		o.processes[l.PID] = p
	}
	s := p.frontends[string(l.Frontend)]
	if s == nil {
		if o.sequences >= maxFrontends {
			return
		}
		o.sequences++
		s = &sequence{}
		if !p.born {
			s.begin(l.Number)
		}
		p.frontends[string(l.Frontend)] = s
	}
	o.lost += s.note(l.Number)
}

// settle gives up on numbers that are overdue and forgets processes that have ended.
func (o *losses) settle() {
	for pid, p := range o.processes {
		p.idle++
		for _, s := range p.frontends {
			if s.active {
				p.idle = 0
			}
			o.lost += s.settle()
		}
		if p.idle > idleSettles && !o.alive(pid) {
			o.sequences -= len(p.frontends)
			delete(o.processes, pid)
		}
	}
}

// processStart returns when a process began, in clock ticks since the machine's start, and
// whether there is such a process.
func processStart(pid uint32) (uint64, bool) {
	text, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(pid), 10) + "/stat")
	if err != nil {
		return 0, false
	}
	// The program's name, in parentheses, may hold anything; the start is field 22, the
	// twentieth after it.
	_, text, ok := bytes.Cut(text[max(0, bytes.LastIndexByte(text, ')')):], []byte(") "))
	fields := bytes.Fields(text)
	if !ok || len(fields) < 20 {
		return 0, false
	}
	ticks, err := strconv.ParseUint(string(fields[19]), 10, 64)
	return ticks, err == nil
}
