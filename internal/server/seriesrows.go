package server

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir/internal/accesslog"
	"weir/internal/haproxy"
	"weir/internal/link"
	"weir/internal/series"
	"weir/internal/tally"
)

// tallied is what HAProxy counted, by objects.
type tallied struct {
	// since is when all counters were zero.
	since  time.Time
	counts map[string]series.Values
	open   map[string]series.Values
}

// tallyColumns are the columns of HAProxy's counters; what is left out here is told elsewhere.
var tallyColumns = map[haproxy.Counter]series.Column{
	haproxy.Sessions:        series.Connections,
	haproxy.BytesIn:         series.BytesIn,
	haproxy.BytesOut:        series.BytesOut,
	haproxy.Responses1xx:    series.Requests1xx,
	haproxy.Responses2xx:    series.Requests2xx,
	haproxy.Responses3xx:    series.Requests3xx,
	haproxy.Responses4xx:    series.Requests4xx,
	haproxy.Responses5xx:    series.Requests5xx,
	haproxy.ResponsesOther:  series.RequestsNone,
	haproxy.DeniedRequests:  series.Denied,
	haproxy.DeniedResponses: series.Denied,
	haproxy.ConnectErrors:   series.ConnectErrors,
	haproxy.ResponseErrors:  series.ResponseErrors,
	haproxy.Retries:         series.Retries,
	haproxy.Redispatches:    series.Redispatches,
	haproxy.CheckFailures:   series.CheckFailures,
	haproxy.ChecksDown:      series.ChecksDown,
	haproxy.TLSHandshakes:   series.Handshakes,
	haproxy.TLSResumed:      series.Resumed,
	haproxy.TLSFailures:     series.HandshakeFailures,
}

func put(into *series.Dense, r tally.Row) {
	requests := uint64(0)
	for c, n := range r.Counters {
		if column, ok := tallyColumns[haproxy.Counter(c)]; ok {
			into[column] += n
		}
		if c >= int(haproxy.Responses1xx) && c <= int(haproxy.ResponsesOther) || c == int(haproxy.Requests) {
			requests += n
		}
	}
	if requests == 0 { // of mode tcp: each session is what a request is elsewhere
		into[series.RequestsNone] += r.Counters[haproxy.Sessions]
	}
}

func openOf(r tally.Row) series.Values {
	var d series.Dense
	d[series.Open], d[series.Queued] = r.Open, r.Queued
	return d.Values()
}

// tallyOf gives what HAProxy counted by objects. A load balancer is what its frontends count, and what pools count that
// frontends don't.
func tallyOf(lb string, f tally.Figures) tallied {
	t := tallied{since: f.Since, counts: map[string]series.Values{}, open: map[string]series.Values{}}
	var front series.Dense
	sessions := tally.Row{Queued: f.Total.Queued}
	for _, r := range f.Frontends {
		put(&front, r)
		sessions.Open += r.Open
	}
	for _, c := range []haproxy.Counter{haproxy.ConnectErrors, haproxy.ResponseErrors, haproxy.Retries, haproxy.Redispatches} {
		front[tallyColumns[c]] = f.Total.Counters[c]
	}
	t.counts["LoadBalancer/"+lb], t.open["LoadBalancer/"+lb] = front.Values(), openOf(sessions)
	for pool, r := range f.Pools {
		var d series.Dense
		put(&d, r)
		d[series.ChecksDown] = 0
		for _, s := range f.Servers[pool] {
			d[series.CheckFailures] += s.Counters[haproxy.CheckFailures]
			d[series.ChecksDown] += s.Counters[haproxy.ChecksDown]
		}
		t.counts["Pool/"+pool], t.open["Pool/"+pool] = d.Values(), openOf(r)
	}
	for pool, servers := range f.Servers {
		for name, r := range servers {
			var d series.Dense
			put(&d, r)
			object := "Pool/" + pool + "/Server/" + name
			t.counts[object], t.open[object] = d.Values(), openOf(r)
		}
	}
	return t
}

// loggedColumns are the columns of the access log's rows, by name.
var loggedColumns = sync.OnceValue(func() map[string]series.Column {
	all := map[string]series.Column{
		"errors.client": series.ErrorsClient, "errors.server": series.ErrorsServer, "errors.proxy": series.ErrorsProxy,
		"retries": series.Retries, "redispatches": series.Redispatches, "tls.1.0": series.TLS10, "tls.1.1": series.TLS11,
		"tls.1.2": series.TLS12, "tls.1.3": series.TLS13, "tls.handshakes": series.Handshakes, "tls.resumed": series.Resumed,
	}
	for class := range 6 {
		name := accesslog.ClassName(class)
		all["requests."+name] = series.RequestsNone + series.Column(class)
		all["bytesIn."+name], all["bytesOut."+name] = series.BytesIn, series.BytesOut
	}
	for timing, column := range map[string]series.Column{
		"total.": series.TotalTime, "response.": series.ResponseTime, "queue.": series.QueueTime, "connect.": series.ConnectTime, "handshake.": series.HandshakeTime,
	} {
		bounds := accesslog.Bounds()
		for i, bound := range bounds {
			all[timing+strconv.FormatInt(bound, 10)] = series.Bucket(column, i)
		}
		all[timing+"more"], all[timing+"sum"] = series.Bucket(column, len(bounds)), series.Sum(column)
	}
	return all
})

// rowColumns says which column is in which place of a row, -1 for none.
type rowColumns []int

func newRowColumns(names []string) rowColumns {
	all, at := loggedColumns(), make(rowColumns, len(names))
	for i, name := range names {
		at[i] = -1
		if c, ok := all[name]; ok {
			at[i] = int(c)
		}
	}
	return at
}

// values reads a row; one that can't be read counts nothing.
func (r rowColumns) values(row []byte) series.Values {
	var d series.Dense
	if len(row) == 0 || accesslog.EachNumber(row, len(r), func(place int, n uint64) {
		if at := r[place]; at >= 0 {
			d[at] += n
		}
	}) != nil {
		return nil
	}
	return d.Values()
}

// machineValues gives what a machine counts.
func machineValues(m *link.MachineReport) series.Values {
	var d series.Dense
	d[series.CPUUser], d[series.CPUSystem], d[series.CPUInterrupt] = m.CPU.User, m.CPU.System, m.CPU.Interrupt
	d[series.CPUWait], d[series.CPUSteal], d[series.CPUIdle] = m.CPU.Wait, m.CPU.Steal, m.CPU.Idle
	d[series.NetworkIn], d[series.NetworkOut] = m.Received, m.Sent
	return d.Values()
}

// machineGrown gives what a machine has counted since a report of before. A machine that began anew counts whole, which its
// processors tell; else what has become less has not moved: the kernel takes back of idle times and of waits, and what an
// interface that is gone had counted is not there any more.
func machineGrown(now, before *link.MachineReport) series.Values {
	if now.CPU.Sum() < before.CPU.Sum() {
		return machineValues(now)
	}
	earlier := *before
	for _, pair := range [][2]*uint64{
		{&earlier.CPU.User, &now.CPU.User},
		{&earlier.CPU.System, &now.CPU.System},
		{&earlier.CPU.Interrupt, &now.CPU.Interrupt},
		{&earlier.CPU.Wait, &now.CPU.Wait},
		{&earlier.CPU.Steal, &now.CPU.Steal},
		{&earlier.CPU.Idle, &now.CPU.Idle},
		{&earlier.Received, &now.Received},
		{&earlier.Sent, &now.Sent},
	} {
		*pair[0] = min(*pair[0], *pair[1])
	}
	return machineValues(now).Since(machineValues(&earlier))
}

// machineMeasures gives how a machine is off.
func machineMeasures(m *link.MachineReport) series.Values {
	list := series.Values{{Column: series.MemoryUsed, N: m.MemoryUsed}, {Column: series.MemoryTotal, N: m.MemoryTotal}}
	if m.Load >= 0 && m.Load < 1e6 {
		list = append(list, series.Value{Column: series.Load, N: uint64(m.Load * 1000)})
	}
	if m.HAProxyIdle != nil { // a zero is told: nothing is idle
		list = append(list, series.Value{Column: series.HAProxyIdle, N: uint64(max(*m.HAProxyIdle, 0)) * 10})
	}
	if m.HAProxyMemory > 0 {
		list = append(list, series.Value{Column: series.HAProxyMemory, N: m.HAProxyMemory})
	}
	return list
}

// ofPools and ofFronts are what only the access log knows of pools, and of load balancers; all else HAProxy counts itself,
// and loses nothing of it while no agent listens.
var (
	ofPools  = []series.Column{series.ErrorsClient, series.ErrorsServer, series.ErrorsProxy}
	ofFronts = slices.Concat(ofPools, []series.Column{series.TLS10, series.TLS11, series.TLS12, series.TLS13})
)

// only gives the columns listed, and timings.
func only(all series.Values, columns []series.Column) series.Values {
	var list series.Values
	for _, v := range all {
		if v.Column >= series.TotalTime || slices.Contains(columns, v.Column) {
			list = append(list, v)
		}
	}
	return list
}

// cutObject takes a name such as Pool/web/Server/a apart.
func cutObject(object string) (kind, name, member string) {
	kind, name, _ = strings.Cut(object, "/")
	name, member, _ = strings.Cut(name, "/Server/")
	return kind, name, member
}
