package accesslog

import (
	"cmp"
	"strings"
)

// Other is the site, pool and zone of the series that takes what no longer finds room.
const Other = "other"

// Key names a series. An empty part means that HAProxy decided before it was known: no site
// for an unknown host or a broken request, no pool for an answer of HAProxy's own.
type Key struct {
	Site string `json:"site"`
	Pool string `json:"pool"`
	Zone string `json:"zone"`
}

func (k Key) compare(o Key) int {
	return cmp.Or(strings.Compare(k.Site, o.Site), strings.Compare(k.Pool, o.Pool), strings.Compare(k.Zone, o.Zone))
}

// classes are the status classes; the first is for what has no status, as tcp connections.
const classes = 6

// ClassName returns the name of a status class: "none", "1xx" to "5xx".
func ClassName(class int) string {
	return [classes]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}[class]
}

func classOf(status int) int {
	if status < 100 || status > 599 {
		return 0
	}
	return status / 100
}

// Class counts the requests of one status class.
type Class struct {
	Requests uint64 `json:"requests"`
	BytesIn  uint64 `json:"bytesIn"`  // from clients
	BytesOut uint64 `json:"bytesOut"` // to clients
}

func (c *Class) add(o Class) {
	c.Requests += o.Requests
	c.BytesIn += o.BytesIn
	c.BytesOut += o.BytesOut
}

// Errors counts requests and connections that did not end as they should, by who caused it.
// An error status that a server sent in good order is none.
type Errors struct {
	Client uint64 `json:"client"` // went away, was too slow, sent a broken or refused request
	Server uint64 `json:"server"` // refused, reset, was too slow, answered nonsense, was down
	Proxy  uint64 `json:"proxy"`  // HAProxy's limits, faults, or its operator
}

// TLS counts what came over TLS that HAProxy ended.
type TLS struct {
	// V10 to V13 are requests, and tcp connections, by version.
	V10 uint64 `json:"v10,omitzero"`
	V11 uint64 `json:"v11,omitzero"`
	V12 uint64 `json:"v12,omitzero"`
	V13 uint64 `json:"v13,omitzero"`
	// Handshakes are those after which a request came, Resumed those of them that resumed a session.
	Handshakes uint64 `json:"handshakes,omitzero"`
	Resumed    uint64 `json:"resumed,omitzero"`
}

// Series counts what one site did with one pool in one zone.
type Series struct {
	Key
	Classes      [classes]Class `json:"classes"` // by ClassName
	Errors       Errors         `json:"errors,omitzero"`
	Retries      uint64         `json:"retries,omitzero"`      // connection attempts and requests tried again
	Redispatches uint64         `json:"redispatches,omitzero"` // requests that ended on another server than the first
	Total        Histogram      `json:"total,omitzero"`        // the whole request or tcp connection
	Response     Histogram      `json:"response,omitzero"`     // the server's answer alone
	Queue        Histogram      `json:"queue,omitzero"`        // the wait for a server's slot
	Connect      Histogram      `json:"connect,omitzero"`      // the connection to the server
	Handshake    Histogram      `json:"handshake,omitzero"`    // of TLS with the client, where that is HAProxy's
	TLS          TLS            `json:"tls,omitzero"`
}

// Requests returns the number of requests, or tcp connections, of all classes.
func (s Series) Requests() uint64 { return s.sum().Requests }

// Bytes returns the bytes that came from clients and went to them.
func (s Series) Bytes() (in, out uint64) {
	all := s.sum()
	return all.BytesIn, all.BytesOut
}

func (s *Series) sum() Class {
	var all Class
	for _, c := range s.Classes {
		all.add(c)
	}
	return all
}

func (s *Series) count(l *Line) {
	c := &s.Classes[classOf(l.Status)]
	c.Requests++
	c.BytesIn += uint64(l.BytesIn)
	c.BytesOut += uint64(l.BytesOut)
	switch l.cause() {
	case causeClient:
		s.Errors.Client++
	case causeServer:
		s.Errors.Server++
	case causeProxy:
		s.Errors.Proxy++
	}
	s.Retries += uint64(l.Retries)
	if l.Redispatch {
		s.Redispatches++
	}
	s.Total.observe(l.Timers.Total)
	s.Response.observe(l.Timers.Response)
	s.Queue.observe(l.Timers.Queue)
	s.Connect.observe(l.Timers.Connect)
	s.countTLS(l)
}

func (s *Series) countTLS(l *Line) {
	switch string(l.TLSVersion) {
	case "TLSv1.3":
		s.TLS.V13++
	case "TLSv1.2":
		s.TLS.V12++
	case "TLSv1.1":
		s.TLS.V11++
	case "TLSv1", "TLSv1.0":
		s.TLS.V10++
	}
	if !l.First {
		return
	}
	s.TLS.Handshakes++
	if l.Resumed {
		s.TLS.Resumed++
	}
	s.Handshake.observe(l.Handshake)
}

func (s *Series) add(o *Series) {
	mine, theirs := s.numbers(), o.numbers()
	for i := range mine {
		*mine[i] += *theirs[i]
	}
}

func (s *Series) sub(o *Series) {
	mine, theirs := s.numbers(), o.numbers()
	for i := range mine {
		*mine[i] -= *theirs[i]
	}
}

// since tells whether s can be o with more counted on top.
func (s *Series) since(o *Series) bool {
	mine, theirs := s.numbers(), o.numbers()
	for i := range mine {
		if *mine[i] < *theirs[i] {
			return false
		}
	}
	return true
}
