package accesslog

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// A row is a Series as a JSON array: in turns the place of a column and its number, of those that are not zero. What is in
// which place say the columns' names, so that both ends need not know the same.

// timings is how many histograms a series has, seriesNumbers how many numbers.
const (
	timings       = 5
	seriesNumbers = 3*classes + 3 + 2 + timings*(len(bounds)+2) + 6
)

// numbers gives all numbers of a series, in the order of Columns.
func (s *Series) numbers() (all [seriesNumbers]*uint64) {
	n := 0
	put := func(list ...*uint64) {
		for _, p := range list {
			all[n] = p
			n++
		}
	}
	for i := range s.Classes {
		c := &s.Classes[i]
		put(&c.Requests, &c.BytesIn, &c.BytesOut)
	}
	put(&s.Errors.Client, &s.Errors.Server, &s.Errors.Proxy, &s.Retries, &s.Redispatches)
	for _, h := range [timings]*Histogram{&s.Total, &s.Response, &s.Queue, &s.Connect, &s.Handshake} {
		for i := range h.Buckets {
			put(&h.Buckets[i])
		}
		put(&h.SumMS)
	}
	put(&s.TLS.V10, &s.TLS.V11, &s.TLS.V12, &s.TLS.V13, &s.TLS.Handshakes, &s.TLS.Resumed)
	return all
}

// Columns gives the names of a series' numbers; none ever changes its meaning. A bucket has its upper end in its name.
var Columns = sync.OnceValue(func() []string {
	var names []string
	for class := range classes {
		for _, what := range []string{"requests.", "bytesIn.", "bytesOut."} {
			names = append(names, what+ClassName(class))
		}
	}
	names = append(names, "errors.client", "errors.server", "errors.proxy", "retries", "redispatches")
	for _, timing := range []string{"total.", "response.", "queue.", "connect.", "handshake."} {
		for _, bound := range bounds {
			names = append(names, timing+strconv.FormatInt(bound, 10))
		}
		names = append(names, timing+"more", timing+"sum")
	}
	return append(names, "tls.1.0", "tls.1.1", "tls.1.2", "tls.1.3", "tls.handshakes", "tls.resumed")
})

// Name gives the name of a series' row.
func (k Key) Name() string { return k.Site + "/" + k.Pool + "/" + k.Zone }

// KeyOf reads the name of a row.
func KeyOf(name string) Key {
	site, rest, _ := strings.Cut(name, "/")
	pool, zone, _ := strings.Cut(rest, "/")
	return Key{site, pool, zone}
}

// Row gives the row of a series.
func (s *Series) Row() []byte {
	numbers := s.numbers()
	return row(numbers[:])
}

func row(numbers []*uint64) []byte {
	b := []byte{'['}
	for i, n := range numbers {
		if *n == 0 {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, ',')
		b = strconv.AppendUint(b, *n, 10)
	}
	return append(b, ']')
}

var errRow = errors.New("read a row of counters: it is no list of places and numbers")

// EachNumber gives the places and numbers of a row; there is none at or beyond the number of columns.
func EachNumber(row []byte, columns int, yield func(place int, n uint64)) error {
	text := string(row)
	if len(text) < 2 || text[0] != '[' || text[len(text)-1] != ']' {
		return errRow
	}
	for rest := strings.TrimSpace(text[1 : len(text)-1]); rest != ""; {
		var place, number string
		var ok bool
		place, rest, ok = strings.Cut(rest, ",")
		number, rest, _ = strings.Cut(rest, ",")
		at, err := strconv.ParseUint(strings.TrimSpace(place), 10, 16)
		n, nerr := strconv.ParseUint(strings.TrimSpace(number), 10, 64)
		if !ok || err != nil || nerr != nil {
			return errRow
		}
		if int(at) >= columns {
			return fmt.Errorf("read a row of counters: there are %d columns, and none in place %d", columns, at)
		}
		yield(int(at), n)
	}
	return nil
}

// RowReader reads rows with columns of any version.
type RowReader struct {
	// at is which of a series' numbers a column is, -1 for none.
	at []int
}

// NewRowReader takes the names of the columns.
func NewRowReader(columns []string) RowReader {
	known := make(map[string]int, seriesNumbers)
	for i, name := range Columns() {
		known[name] = i
	}
	r := RowReader{make([]int, len(columns))}
	for i, name := range columns {
		r.at[i] = -1
		if at, ok := known[name]; ok {
			r.at[i] = at
			delete(known, name) // a name that stands twice counts once
		}
	}
	return r
}

// Series reads a row by its name.
func (r RowReader) Series(name string, row []byte) (Series, error) {
	s := Series{Key: KeyOf(name)}
	numbers := s.numbers()
	err := EachNumber(row, len(r.at), func(place int, n uint64) {
		if at := r.at[place]; at >= 0 {
			*numbers[at] = n
		}
	})
	return s, err
}

// TakeRows puts the series of rows, by their names, in place of those that there are. What is no row is an error, and leaves
// the counts as they were.
func (c *Counts) TakeRows(columns []string, rows map[string]json.RawMessage) error {
	reader := NewRowReader(columns)
	list := make([]Series, 0, len(rows))
	for name, row := range rows {
		s, err := reader.Series(name, row)
		if err != nil {
			return err
		}
		list = append(list, s)
	}
	c.Series = list
	c.sort()
	return nil
}
