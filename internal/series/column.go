// Package series keeps figures over time: what objects counted in each ten seconds of the last hour, and what was measured
// of them. It is told differences of counters, keeps them as few bytes where something moved and as none where nothing did,
// and works rates, ratios and percentiles out when it is asked. It is pure; whoever uses it from several goroutines locks it.
package series

// Column names what is counted or measured of an object.
type Column uint8

// The plain columns. Counters first: of them differences are added up.
const (
	RequestsNone Column = iota // requests, or tcp connections, without a status; then one for each class of status
	Requests1xx
	Requests2xx
	Requests3xx
	Requests4xx
	Requests5xx
	BytesIn
	BytesOut
	ErrorsClient // requests that did not end as they should, by who caused it
	ErrorsServer
	ErrorsProxy
	Retries
	Redispatches
	Connections
	ConnectErrors
	ResponseErrors
	Denied
	CheckFailures
	ChecksDown
	Handshakes
	Resumed
	HandshakeFailures
	TLS10 // requests by TLS version
	TLS11
	TLS12
	TLS13
	Reloads
	CPUUser // milliseconds of all processors
	CPUSystem
	CPUInterrupt
	CPUWait
	CPUSteal
	CPUIdle
	NetworkIn // bytes
	NetworkOut
	numCounters
)

// The measures: of those of a step the last one counts.
const (
	Open Column = numCounters + iota
	Queued
	MemoryUsed // bytes
	MemoryTotal
	Load        // in thousandths
	HAProxyIdle // in thousandths
	HAProxyMemory
	numPlain
)

// The timings. Each is a histogram: columns for its buckets, and in the last place one for the sum in milliseconds.
const (
	TotalTime     Column = 64
	ResponseTime  Column = 96
	QueueTime     Column = 128
	ConnectTime   Column = 160
	HandshakeTime Column = 192
	numColumns           = 224
	// sumPlace is where the sum is, from the first column of a timing; buckets come before it.
	sumPlace   = 31
	maxBuckets = sumPlace
)

// Bucket gives the column of a timing's bucket, counted from 0; there are at most 31.
func Bucket(timing Column, i int) Column { return timing + Column(i) }

// Sum gives the column of a timing's sum in milliseconds.
func Sum(timing Column) Column { return timing + sumPlace }

// measured says that a column is no counter.
func (c Column) measured() bool { return c >= numCounters && c < numPlain }

// Value is one column of an object.
type Value struct {
	Column Column
	N      uint64
}

// Values are columns of an object in ascending order; what is not among them is zero.
type Values []Value

// Dense holds values by their columns, to put them together in any order.
type Dense [numColumns]uint64

// Values gives those that are not zero.
func (d *Dense) Values() Values {
	n := 0
	for _, v := range d {
		if v != 0 {
			n++
		}
	}
	list := make(Values, 0, n)
	for c, v := range d {
		if v != 0 {
			list = append(list, Value{Column(c), v})
		}
	}
	return list
}

// Add adds values.
func (d *Dense) Add(list Values) {
	for _, v := range list {
		d[v.Column] += v.N
	}
}

// Since gives what was counted after earlier values of the same counters. Counters of which one is smaller began anew, and
// are given whole. What is measured is given as it is.
func (v Values) Since(earlier Values) Values {
	var now, was Dense
	now.Add(v)
	was.Add(earlier)
	for c := range now {
		if now[c] < was[c] && !Column(c).measured() {
			return v
		}
	}
	for c := range now {
		if !Column(c).measured() {
			now[c] -= was[c]
		}
	}
	return now.Values()
}
