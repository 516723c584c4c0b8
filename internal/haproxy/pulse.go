package haproxy

import "strings"

// Pulse sums up how a backend's servers are: as long as it is the same, no server has come or gone or is up, down,
// drained, in maintenance or checked with another result.
type Pulse struct {
	Backend string
	Servers int
	Sum     uint64
}

// pulseColumns are those that a Pulse is made of, besides be_name. The result of a check is not among them: it is
// unknown while the next one runs.
var pulseColumns = [...]string{"srv_name", "srv_op_state", "srv_admin_state", "srv_uweight", "srv_check_status", "srv_port"}

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
	counts := make([]bool, len(names))
	found := 0
	for i, n := range names {
		if n == "be_name" {
			backend = i
		}
		for _, c := range pulseColumns {
			if n == c {
				counts[i] = true
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
		name, sum, fields := pulseOf(line, backend, counts)
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
			pulses = append(pulses, Pulse{Backend: name, Sum: startOfSum})
			n++
		}
		p := &pulses[n-1]
		p.Servers++
		p.Sum = (p.Sum ^ sum) * stepOfSum
	}
	return pulses, nil
}

// FNV-1a, byte by byte over what counts.
const (
	startOfSum = 14695981039346656037
	stepOfSum  = 1099511628211
)

// pulseOf gives the backend of a line, the sum of what counts, and how many fields there are.
func pulseOf(line string, backend int, counts []bool) (name string, sum uint64, fields int) {
	sum = startOfSum
	start := 0
	for i := 0; i <= len(line); i++ {
		if i < len(line) && line[i] != ' ' {
			continue
		}
		switch {
		case fields == backend:
			name = line[start:i]
		case fields < len(counts) && counts[fields]:
			for j := start; j < i; j++ {
				sum = (sum ^ uint64(line[j])) * stepOfSum
			}
			sum = (sum ^ ' ') * stepOfSum
		}
		fields++
		start = i + 1
	}
	return name, sum, fields
}
