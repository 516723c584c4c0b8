package haproxy

import "strings"

// ServerState is one line of «show servers state»: what HAProxy has of a server.
type ServerState struct {
	Backend, Server string
	// ID is the server's in its backend.
	ID int
	// Address is without port; "-" for a server that has no IP address (a socket, an unresolved name).
	Address string
	Port    int
	// Weight is the one in force, InitialWeight the one of the server's line; 0 to 256.
	Weight, InitialWeight int
	Op                    OpState
	Admin                 AdminState
	// SinceChange is in seconds, since Op last changed.
	SinceChange int
	// CheckResult is 0 before the first check, 2 after a failed one, 3 after a good one.
	CheckResult int
	// CheckHealth counts from 0 (down) to rise+fall-1 (fully up).
	CheckHealth int
	// CheckState is a mask; Checked tells what it is needed for.
	CheckState int
}

// OpState says whether HAProxy holds a server for alive.
type OpState int

// The operational states of a server.
const (
	OpStopped  OpState = 0 // gets nothing
	OpStarting OpState = 1 // up, in slow start
	OpRunning  OpState = 2
	OpStopping OpState = 3 // up, for persistent clients only, as a check asked for
)

// AdminState is a mask of what people, the configuration and HAProxy itself have decided about a server.
type AdminState int

// The bits of an AdminState.
const (
	AdminForcedMaint    AdminState = 0x01
	AdminInheritedMaint AdminState = 0x02
	AdminConfigMaint    AdminState = 0x04 // «disabled» in the file; stays set after «enable server»
	AdminForcedDrain    AdminState = 0x08
	AdminInheritedDrain AdminState = 0x10
	AdminResolveMaint   AdminState = 0x20 // its name has no address
)

// Maint says whether the server is in maintenance: no traffic, no checks.
func (s ServerState) Maint() bool {
	return s.Admin&(AdminForcedMaint|AdminInheritedMaint|AdminResolveMaint) != 0
}

// Drain says whether the server gets no new traffic by order: drained, or of weight 0.
func (s ServerState) Drain() bool {
	return s.Admin&(AdminForcedDrain|AdminInheritedDrain) != 0 || s.Weight == 0
}

// Up says whether HAProxy would send the server new traffic: alive, not in maintenance, not drained.
func (s ServerState) Up() bool {
	return !s.Maint() && !s.Drain() && (s.Op == OpRunning || s.Op == OpStarting)
}

// Checked says whether health checks of the server are configured and enabled.
func (s ServerState) Checked() bool {
	const configured, enabled = 0x02, 0x04
	return s.CheckState&(configured|enabled) == configured|enabled
}

// ParseServersState reads the answer of «show servers state»: servers in HAProxy's order. Columns are found
// by name, so that new ones do no harm.
func ParseServersState(text string) ([]ServerState, error) {
	a := read("show servers state", text)
	if err := a.header("1"); err != nil {
		return nil, err
	}
	col, width, err := a.columns()
	if err != nil {
		return nil, err
	}
	states := make([]ServerState, 0, max(len(a.lines)-2, 0))
	fields := make([]string, 0, width)
	for {
		line, ok := a.line()
		if !ok {
			return states, nil
		}
		fields = fields[:0]
		for field := range strings.SplitSeq(line, " ") {
			fields = append(fields, field)
		}
		if len(fields) != width {
			return nil, a.wrong("%d fields, want %d", len(fields), width)
		}
		s, err := a.serverState(col, fields)
		if err != nil {
			return nil, err
		}
		states = append(states, s)
	}
}

var serverStateColumns = []string{
	"be_name", "srv_id", "srv_name", "srv_addr", "srv_op_state", "srv_admin_state", "srv_uweight", "srv_iweight",
	"srv_time_since_last_change", "srv_check_result", "srv_check_health", "srv_check_state", "srv_port",
}

// columns reads the heading: the place of each column, and how many there are.
func (a *answer) columns() (map[string]int, int, error) {
	line, _ := a.line()
	names := strings.Split(line, " ")
	if names[0] != "#" {
		return nil, 0, a.wrong("want the names of the columns, not %s", shown(line))
	}
	names = names[1:]
	col := make(map[string]int, len(names))
	for i, n := range names {
		if _, twice := col[n]; twice {
			return nil, 0, a.wrong("column %s stands twice", shown(n))
		}
		col[n] = i
	}
	for _, n := range serverStateColumns {
		if _, ok := col[n]; !ok {
			return nil, 0, a.wrong("no column %s", n)
		}
	}
	return col, len(names), nil
}

func (a *answer) serverState(col map[string]int, fields []string) (ServerState, error) {
	s := ServerState{
		Backend: fields[col["be_name"]], Server: fields[col["srv_name"]], Address: fields[col["srv_addr"]],
	}
	if s.Backend == "" || s.Server == "" || s.Address == "" {
		return s, a.wrong("a name or an address is empty")
	}
	var op, admin int
	for _, f := range []struct {
		column string
		to     *int
	}{
		{"srv_id", &s.ID},
		{"srv_op_state", &op},
		{"srv_admin_state", &admin},
		{"srv_uweight", &s.Weight},
		{"srv_iweight", &s.InitialWeight},
		{"srv_time_since_last_change", &s.SinceChange},
		{"srv_check_result", &s.CheckResult},
		{"srv_check_health", &s.CheckHealth},
		{"srv_check_state", &s.CheckState},
		{"srv_port", &s.Port},
	} {
		n, err := a.count(f.column, fields[col[f.column]])
		if err != nil {
			return s, err
		}
		*f.to = n
	}
	s.Op, s.Admin = OpState(op), AdminState(admin)
	switch {
	case s.Op > OpStopping:
		return s, a.wrong("srv_op_state: %d is no state of a server", op)
	case s.Admin > 0x7f:
		return s, a.wrong("srv_admin_state: %d has unknown bits", admin)
	case s.Port > 65535:
		return s, a.wrong("srv_port: %d is no port", s.Port)
	}
	return s, nil
}

// ParseBackends reads the answer of «show backend»: the backends' names, published or not, in HAProxy's order.
func ParseBackends(text string) ([]string, error) {
	a := read("show backend", text)
	if err := a.header("# name"); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(a.lines))
	for {
		name, ok := a.line()
		if !ok {
			return names, nil
		}
		if name == "" || strings.ContainsAny(name, " \t") {
			return nil, a.wrong("%s is no name of a backend", shown(name))
		}
		names = append(names, name)
	}
}
