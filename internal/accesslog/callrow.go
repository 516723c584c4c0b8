package accesslog

import (
	"encoding/json"
	"strconv"
	"strings"
	"sync"
)

// A Call travels as a row, as a Series does, in a table of its own with the columns of CallColumns.

// callTimings are the names of a call's histograms, in the order of numbers.
var callTimings = [...]string{"total.", "connect.", "tls.", "firstByte."}

const callNumbers = 3*classes + 3 + 2 + len(callTimings)*(len(bounds)+2)

// numbers gives all numbers of a call, in the order of CallColumns.
func (c *Call) numbers() (all [callNumbers]*uint64) {
	n := 0
	put := func(list ...*uint64) {
		for _, p := range list {
			all[n] = p
			n++
		}
	}
	for i := range c.Classes {
		put(&c.Classes[i].Requests, &c.Classes[i].BytesIn, &c.Classes[i].BytesOut)
	}
	put(&c.Faults.Client, &c.Faults.Weir, &c.Faults.Partner, &c.Retries, &c.Reused)
	for _, h := range [len(callTimings)]*Histogram{&c.Total, &c.Connect, &c.TLS, &c.FirstByte} {
		for i := range h.Buckets {
			put(&h.Buckets[i])
		}
		put(&h.SumMS)
	}
	return all
}

// CallColumns gives the names of a call's numbers; none ever changes its meaning.
var CallColumns = sync.OnceValue(func() []string {
	var names []string
	for class := range classes {
		for _, what := range []string{"requests.", "bytesIn.", "bytesOut."} {
			names = append(names, what+ClassName(class))
		}
	}
	names = append(names, "faults.client", "faults.weir", "faults.partner", "retries", "reused")
	for _, timing := range callTimings {
		for _, bound := range bounds {
			names = append(names, timing+strconv.FormatInt(bound, 10))
		}
		names = append(names, timing+"more", timing+"sum")
	}
	return names
})

// Name gives the name of a call's row.
func (k CallKey) Name() string {
	return strings.Join([]string{k.Site, k.Client, k.Service, k.SLA}, "/")
}

// Row gives the row of a call.
func (c *Call) Row() []byte {
	numbers := c.numbers()
	return row(numbers[:])
}

// TakeCalls puts the calls of rows, by their names, in place of those that there are. What is no row is an error, and leaves
// the counts as they were; what has no such name is left out.
func (c *Counts) TakeCalls(columns []string, rows map[string]json.RawMessage) error {
	known := map[string]int{}
	for i, name := range CallColumns() {
		known[name] = i
	}
	list := make([]Call, 0, len(rows))
	for name, text := range rows {
		parts := strings.Split(name, "/")
		if len(parts) != 4 {
			continue
		}
		call := Call{CallKey: CallKey{parts[0], parts[1], parts[2], parts[3]}}
		numbers := call.numbers()
		if err := EachNumber(text, len(columns), func(place int, n uint64) {
			if at, ok := known[columns[place]]; ok {
				*numbers[at] = n
			}
		}); err != nil {
			return err
		}
		list = append(list, call)
	}
	c.Calls = list
	c.sort()
	return nil
}
