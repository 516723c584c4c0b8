package agent

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"weir/internal/haproxy"
)

// HAProxy counts the files that it may have open when it starts: two for each connection, one for each check of a
// server in its text, and some. It does not start when the system gives it fewer. Servers that come at run time are
// not counted, so that one could be brought where it would never start again; the agent counts for it.

// tooManyFiles says that HAProxy would not start again with some servers.
type tooManyFiles struct {
	owners      []string
	need, limit int
}

// Error says what to do.
func (t *tooManyFiles) Error() string {
	return fmt.Sprintf("HAProxy would not start again: it would need %d open files, one of them for the checks of this server, and may have %d; raise LimitNOFILE of its unit and restart it, or lower maxConnections of the group's Tuning", t.need, t.limit)
}

// enoughFiles refuses a configuration that HAProxy could be brought to and not start with.
func (e *engine) enoughFiles(want haproxy.Config) error {
	if e.beside == 0 || e.process == nil {
		return nil
	}
	limit, ok := fileLimit(e.process.Pid())
	if !ok || e.beside+servers(want) <= limit {
		return nil // whoever is checked
	}
	need := e.beside + checks(want)
	if need <= limit {
		return nil
	}
	there := map[[2]string]bool{}
	for _, b := range e.have.Backends {
		for _, s := range b.Servers {
			there[[2]string{b.Name, s.Name}] = s.Check
		}
	}
	var owners []string
	for i := len(want.Backends) - 1; i >= 0; i-- {
		b := want.Backends[i]
		for j := len(b.Servers) - 1; j >= 0 && len(owners) < need-limit; j-- {
			if s := b.Servers[j]; s.Check && s.Owner != "" && !there[[2]string{b.Name, s.Name}] {
				owners = append(owners, s.Owner)
			}
		}
	}
	if len(owners) == 0 {
		return nil // what is there already is not held
	}
	return &tooManyFiles{owners, need, limit}
}

// leastConnections is what HAProxy makes do with when it works maxconn out itself (DEFAULT_MAXCONN of its source): more
// checks then only mean fewer connections.
const leastConnections = 100

// countFiles notes what HAProxy counts beside checks, after it has read a configuration.
func (e *engine) countFiles(info haproxy.Info, read haproxy.Config) {
	e.beside = 0
	all, err := strconv.Atoi(info.All["Maxsock"])
	if err != nil {
		return
	}
	if !setsConnections(read) {
		connections, _ := strconv.Atoi(info.All["Maxconn"])
		pipes, _ := strconv.Atoi(info.All["Maxpipes"])
		all -= 2 * (max(0, connections-leastConnections) + max(0, pipes-leastConnections/4))
	}
	e.beside = max(0, all-checks(read))
}

// setsConnections says that the text says how many connections there may be.
func setsConnections(c haproxy.Config) bool {
	for _, s := range c.Sections {
		if s.Kind == "global" {
			return slices.ContainsFunc(s.Lines, func(l haproxy.Line) bool { return strings.HasPrefix(l.Text, "maxconn ") })
		}
	}
	return false
}

// servers counts all of them, for next to nothing.
func servers(c haproxy.Config) int {
	n := 0
	for i := range c.Backends {
		n += len(c.Backends[i].Servers)
	}
	return n
}

// checks counts the servers that are checked.
func checks(c haproxy.Config) int {
	n := 0
	for _, b := range c.Backends {
		for _, s := range b.Servers {
			if s.Check {
				n++
			}
		}
	}
	return n
}

// fileLimit is how many files a process may have open at most; ok is false when it can raise that itself, or when that
// is not known.
func fileLimit(pid int) (limit int, ok bool) {
	var r unix.Rlimit
	if unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &r) != nil || r.Max > 1<<30 {
		return 0, false
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	_, rest, _ := strings.Cut(string(status), "\nCapEff:")
	line, _, _ := strings.Cut(rest, "\n")
	can, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	if err != nil || can&(1<<unix.CAP_SYS_RESOURCE) != 0 {
		return 0, false
	}
	return int(r.Max), true
}
