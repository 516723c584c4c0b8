package haproxy

import (
	"strconv"
	"strings"
)

// Counter is one of HAProxy's counters of a frontend, backend or server.
type Counter int

// The counters that Weir sums up. HAProxy counts each of them for some kinds of rows only. TLSHandshakes are all that
// succeeded, TLSResumed those of them that resumed a session.
const (
	Sessions Counter = iota
	Requests
	BytesIn
	BytesOut
	Responses1xx
	Responses2xx
	Responses3xx
	Responses4xx
	Responses5xx
	ResponsesOther
	DeniedRequests
	DeniedResponses
	RequestErrors
	ConnectErrors
	ResponseErrors
	Retries
	Redispatches
	ClientAborts
	ServerAborts
	CheckFailures
	ChecksDown
	TLSHandshakes
	TLSResumed
	TLSFailures
	NumCounters
)

// counterColumns are the columns of «show stat», by counter.
var counterColumns = [NumCounters]string{
	"stot", "req_tot", "bin", "bout", "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other", "dreq", "dresp", "ereq",
	"econ", "eresp", "wretr", "wredis", "cli_abrt", "srv_abrt", "chkfail", "chkdown", "ssl_sess", "ssl_reused_sess", "ssl_failed_handshake",
}

// counterNames are words for a wire and files; they never change their meaning.
var counterNames = [NumCounters]string{
	"sessions", "requests", "bytesIn", "bytesOut", "responses1xx", "responses2xx", "responses3xx", "responses4xx", "responses5xx",
	"responsesOther", "deniedRequests", "deniedResponses", "requestErrors", "connectErrors", "responseErrors", "retries", "redispatches",
	"clientAborts", "serverAborts", "checkFailures", "checksDown", "tlsHandshakes", "tlsResumed", "tlsFailures",
}

// String gives the counter's name, which is the same in all versions of Weir.
func (c Counter) String() string { return counterNames[c] }

// Counters are values of all counters, by Counter.
type Counters [NumCounters]uint64

// CounterRow is one row of «show stat» with what HAProxy counts.
type CounterRow struct {
	Proxy, Service string
	Type           StatType
	// Open and Queued are the sessions of now.
	Open, Queued uint64
	Counters     Counters
}

// ParseCounters reads the counters in an answer of «show stat». Columns may stand in any order, and there may be
// others; a counter that this HAProxy does not have is 0. Rows of listeners are left out.
func ParseCounters(text string) ([]CounterRow, error) {
	a := &answer{command: "show stat"}
	var col counterPlaces
	var rows []CounterRow
	err := a.table(text, func(names []string) (_ int, err error) {
		col, err = a.counterPlaces(names)
		return 0, err
	}, func(fields []string) error {
		row, err := a.counterRow(col, fields)
		if err == nil && row.Type != StatListener {
			rows = append(rows, row)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// counterPlaces says where in a row the columns are, -1 for nowhere.
type counterPlaces struct {
	proxy, service, kind, open, queued int
	counters                           [NumCounters]int
}

func (a *answer) counterPlaces(names []string) (p counterPlaces, err error) {
	col := make(map[string]int, len(names))
	for i, n := range names {
		if _, twice := col[n]; twice && n != "" && n != "-" {
			return p, a.wrong("column %s stands twice", shown(n))
		}
		col[n] = i
	}
	for _, f := range []struct {
		name string
		to   *int
	}{{"pxname", &p.proxy}, {"svname", &p.service}, {"type", &p.kind}, {"scur", &p.open}, {"qcur", &p.queued}} {
		at, ok := col[f.name]
		if !ok {
			return p, a.wrong("no column %s", f.name)
		}
		*f.to = at
	}
	for i, name := range counterColumns {
		at, ok := col[name]
		if !ok {
			at = -1
		}
		p.counters[i] = at
	}
	return p, nil
}

func (a *answer) counterRow(p counterPlaces, fields []string) (CounterRow, error) {
	kind, err := a.uint("type", fields[p.kind])
	if err != nil {
		return CounterRow{}, err
	}
	row := CounterRow{Proxy: strings.Clone(fields[p.proxy]), Service: strings.Clone(fields[p.service]), Type: StatType(min(kind, 1<<16))}
	if row.Proxy == "" || row.Service == "" || row.Type > StatListener {
		return row, a.wrong("proxy, service or type is missing or unknown")
	}
	if row.Open, err = a.uint("scur", fields[p.open]); err != nil {
		return row, err
	}
	if row.Queued, err = a.uint("qcur", fields[p.queued]); err != nil {
		return row, err
	}
	for i, at := range p.counters {
		if at < 0 {
			continue
		}
		if row.Counters[i], err = a.uint(counterColumns[i], fields[at]); err != nil {
			return row, err
		}
	}
	row.Counters[TLSHandshakes] += row.Counters[TLSResumed] // HAProxy counts whole ones and resumed ones
	return row, nil
}

// uint reads a number, 0 where there is none.
func (a *answer) uint(what, s string) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, a.wrong("%s: want a number, not %s", what, shown(s))
	}
	return n, nil
}
