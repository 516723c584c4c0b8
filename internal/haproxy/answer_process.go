package haproxy

import (
	"strconv"
	"strings"
	"time"
)

// Info is what a worker says of itself.
type Info struct {
	Version string
	Pid     int
	Uptime  time.Duration // in whole seconds
	// Stopping says that another worker has taken its place.
	Stopping bool
	// Threads is nbthread.
	Threads                     int
	Connections, MaxConnections int
	DroppedLogs                 int
	// All holds every line of the answer.
	All map[string]string
}

// ParseInfo reads the answer of «show info».
func ParseInfo(text string) (Info, error) {
	a := read("show info", text)
	i := Info{All: make(map[string]string, len(a.lines))}
	place := map[string]int{}
	for {
		line, ok := a.line()
		if !ok {
			break
		}
		key, value, ok := strings.Cut(line, ":")
		if _, twice := i.All[key]; !ok || twice {
			return i, a.wrong("want «name: value» once, not %s", shown(line))
		}
		i.All[key], place[key] = strings.TrimPrefix(value, " "), a.next
	}
	i.Version = i.All["Version"]
	if i.All["Name"] != "HAProxy" || i.Version == "" {
		return i, a.wrong("no name and version of HAProxy")
	}
	var seconds, stopping int
	for _, f := range []struct {
		name string
		to   *int
	}{
		{"Pid", &i.Pid},
		{"Uptime_sec", &seconds},
		{"Stopping", &stopping},
		{"Nbthread", &i.Threads},
		{"CurrConns", &i.Connections},
		{"Maxconn", &i.MaxConnections},
		{"DroppedLogs", &i.DroppedLogs},
	} {
		value, ok := i.All[f.name]
		if !ok {
			return i, a.wrong("no %s", f.name)
		}
		a.next = place[f.name]
		n, err := a.count(f.name, value)
		if err != nil {
			return i, err
		}
		*f.to = n
	}
	if i.Pid == 0 {
		return i, a.wrong("Pid: 0 is no process")
	}
	i.Uptime, i.Stopping = time.Duration(seconds)*time.Second, stopping != 0
	return i, nil
}

// Proc is what the master says of its processes.
type Proc struct {
	Master ProcLine
	// Failed counts the reloads that did not work since the last one that did.
	Failed int
	// Workers are the present generation; empty after a reload that failed, when the worker that serves on is
	// the first of Old.
	Workers, Old []ProcLine
}

// ProcLine is one process.
type ProcLine struct {
	Pid int
	// Reloads counts, for a worker, those since it started.
	Reloads int
	Uptime  time.Duration // in whole seconds
	Version string
}

// ParseProc reads the answer of «show proc» on the master's socket.
func ParseProc(text string) (Proc, error) {
	a := read("show proc", text)
	var p Proc
	head, _ := a.line()
	if want := "#<PID> <type> <reloads> <uptime> <version>"; strings.Join(strings.Fields(head), " ") != want {
		return p, a.wrong("want %q, not %s", want, shown(head))
	}
	var into *[]ProcLine
	for {
		line, ok := a.line()
		if !ok {
			break
		}
		switch line {
		case "# workers":
			into = &p.Workers
			continue
		case "# old workers":
			into = &p.Old
			continue
		}
		proc, kind, failed, err := a.procLine(line)
		switch {
		case err != nil:
			return p, err
		case kind == "master" && into == nil && p.Master.Pid == 0:
			p.Master, p.Failed = proc, failed
		case kind == "worker" && into != nil:
			*into = append(*into, proc)
		default:
			return p, a.wrong("a %s is not expected here", kind)
		}
	}
	if p.Master.Pid == 0 {
		return p, a.wrong("no master")
	}
	return p, nil
}

func (a *answer) procLine(line string) (p ProcLine, kind string, failed int, err error) {
	fields := strings.Fields(line)
	if len(fields) == 7 && fields[1] == "master" && fields[3] == "[failed:" && strings.HasSuffix(fields[4], "]") {
		if failed, err = a.count("failed", strings.TrimSuffix(fields[4], "]")); err != nil {
			return p, "", 0, err
		}
		fields = append(fields[:3], fields[5:]...)
	}
	if len(fields) != 5 {
		return p, "", 0, a.wrong("want a process, not %s", shown(line))
	}
	if p.Pid, err = a.count("pid", fields[0]); err != nil {
		return p, "", 0, err
	}
	if p.Reloads, err = a.count("reloads", fields[2]); err != nil {
		return p, "", 0, err
	}
	if p.Uptime, err = a.uptime(fields[3]); err != nil {
		return p, "", 0, err
	}
	p.Version = fields[4]
	return p, fields[1], failed, nil
}

// uptime reads "0d00h00m11s".
func (a *answer) uptime(s string) (time.Duration, error) {
	var total time.Duration
	rest := s
	for _, unit := range []struct {
		mark string
		is   time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		digits, after, ok := strings.Cut(rest, unit.mark)
		n, err := strconv.ParseUint(digits, 10, 16)
		if !ok || err != nil {
			return 0, a.wrong("uptime: want 0d00h00m00s, not %s", shown(s))
		}
		total += time.Duration(n) * unit.is
		rest = after
	}
	if rest != "" {
		return 0, a.wrong("uptime: want 0d00h00m00s, not %s", shown(s))
	}
	return total, nil
}

// ReloadAnswer is what the master says of a reload.
type ReloadAnswer struct {
	Success bool
	// Logs are what the new worker said while it started, line by line.
	Logs []string
}

// Busy says that nothing was done because an earlier reload or the first start was still under way.
func (r ReloadAnswer) Busy() bool {
	for _, l := range r.Logs {
		if !r.Success && strings.Contains(l, "reload is still in progress") {
			return true
		}
	}
	return false
}

// ParseReload reads the answer of «reload» on the master's socket.
func ParseReload(text string) (ReloadAnswer, error) {
	a := read("reload", text)
	var r ReloadAnswer
	switch line, _ := a.line(); line {
	case "Success=1":
		r.Success = true
	case "Success=0":
	default:
		return r, a.wrong("want Success=0 or Success=1, not %s", shown(line))
	}
	if len(a.lines) > 1 {
		if err := a.header("--"); err != nil {
			return r, err
		}
		r.Logs = a.lines[2:]
	}
	return r, nil
}
