package haproxy

import (
	"slices"
	"strings"
)

// Pulse sums up how a backend's servers are: as long as it is the same, no server has come or gone or is up, down,
// drained, in maintenance or checked with another result.
type Pulse struct {
	Backend string
	Servers int
	Sum     uint64
	// Settings sums up what checks don't change: names, addresses, weights, and who was drained or put into maintenance.
	Settings uint64
}

// pulseColumns are those that a Pulse is made of, besides be_name. The result of a check is not among them: it is
// unknown while the next one runs.
var pulseColumns = [...]struct {
	name          string
	sum, settings bool
}{
	{"srv_name", true, true},
	{"srv_addr", false, true},
	{"srv_op_state", true, false},
	{"srv_admin_state", true, true},
	{"srv_uweight", true, true},
	{"srv_check_status", true, false},
	{"srv_port", true, true},
}

// Pulses reads the answer of «show servers state» without taking it apart: one Pulse for each backend that has
// servers, in HAProxy's order. Names are taken from last where they are the same, so that the text can go.
func Pulses(text string, last []Pulse) ([]Pulse, error) {
	rest, ok := strings.CutPrefix(text, "1\n# ")
	a := &answer{command: "show servers state", next: 1}
	if !ok {
		return nil, a.wrong("want version 1 and the names of the columns, not %s", shown(text))
	}
	heading, rest, _ := strings.Cut(rest, "\n")
	names := strings.Split(heading, " ")
	backend := -1
	counts := make([]struct{ sum, settings bool }, len(names))
	found := 0
	for i, n := range names {
		if n == "be_name" {
			backend = i
		}
		for _, c := range pulseColumns {
			if n == c.name {
				counts[i].sum, counts[i].settings = c.sum, c.settings
				found++
			}
		}
	}
	if backend < 0 || found != len(pulseColumns) {
		return nil, a.wrong("a column is missing in %s", shown(heading))
	}
	pulses := make([]Pulse, 0, len(last)+8)
	for a.next = 2; rest != ""; {
		a.next++
		var line string
		if line, rest, _ = strings.Cut(rest, "\n"); line == "" {
			continue
		}
		name, sum, settings, fields := pulseOf(line, backend, counts)
		if fields != len(names) || name == "" {
			return nil, a.wrong("%d fields, want %d", fields, len(names))
		}
		n := len(pulses)
		if n == 0 || pulses[n-1].Backend != name {
			if n < len(last) && last[n].Backend == name {
				name = last[n].Backend
			} else {
				name = strings.Clone(name)
			}
			pulses = append(pulses, Pulse{Backend: name, Sum: startOfSum, Settings: startOfSum})
			n++
		}
		p := &pulses[n-1]
		p.Servers++
		p.Sum = (p.Sum ^ sum) * stepOfSum
		p.Settings = (p.Settings ^ settings) * stepOfSum
	}
	return pulses, nil
}

// FNV-1a, byte by byte over what counts.
const (
	startOfSum = 14695981039346656037
	stepOfSum  = 1099511628211
)

// pulseOf gives the backend of a line, the sums of what counts, and how many fields there are.
func pulseOf(line string, backend int, counts []struct{ sum, settings bool }) (name string, sum, settings uint64, fields int) {
	sum, settings = startOfSum, startOfSum
	start := 0
	for i := 0; i <= len(line); i++ {
		if i < len(line) && line[i] != ' ' {
			continue
		}
		switch {
		case fields == backend:
			name = line[start:i]
		case fields < len(counts):
			if counts[fields].sum {
				sum = addSum(sum, line[start:i])
			}
			if counts[fields].settings {
				settings = addSum(settings, line[start:i])
			}
		}
		fields++
		start = i + 1
	}
	return name, sum, settings, fields
}

func addSum(sum uint64, field string) uint64 {
	for i := range len(field) {
		sum = (sum ^ uint64(field[i])) * stepOfSum
	}
	return (sum ^ ' ') * stepOfSum
}

// Moved gives the backends whose settings two rounds of pulses tell apart, and those that only one of them has.
func Moved(before, after []Pulse) []string {
	var moved []string
	i := 0
	for i < len(before) && i < len(after) && before[i].Backend == after[i].Backend {
		if before[i].Settings != after[i].Settings || before[i].Servers != after[i].Servers {
			moved = append(moved, after[i].Backend)
		}
		i++
	}
	old := make(map[string]Pulse, len(before)-i)
	for _, p := range before[i:] {
		old[p.Backend] = p
	}
	for _, p := range after[i:] {
		if o, ok := old[p.Backend]; !ok || o.Settings != p.Settings || o.Servers != p.Servers {
			moved = append(moved, p.Backend)
		}
		delete(old, p.Backend)
	}
	for name := range old {
		moved = append(moved, name)
	}
	slices.Sort(moved)
	return moved
}
