package tally

import (
	"encoding/json"
	"fmt"
	"time"

	"weir/internal/haproxy"
)

// Row is what is counted of one frontend, pool or server.
type Row struct {
	// Open and Queued are sessions as of the last reading.
	Open, Queued uint64
	haproxy.Counters
}

func rowOf(r haproxy.CounterRow) Row { return Row{r.Open, r.Queued, r.Counters} }

// Figures are sums over all workers that a load balancer's HAProxy has had. Their JSON names the columns once and is
// read by their names, so that versions may differ in what they know.
type Figures struct {
	// Since is when all sums were zero.
	Since time.Time
	// Total sums up all pools, those too that are gone.
	Total Row
	// Frontends are by HAProxy's name (mode and port), Pools by name, Servers by pool and name.
	Frontends, Pools map[string]Row
	Servers          map[string]map[string]Row
}

type figuresJSON struct {
	Since     time.Time                     `json:"since"`
	Columns   []string                      `json:"columns"`
	Total     numbers                       `json:"total,omitempty"`
	Frontends map[string]numbers            `json:"frontends,omitempty"`
	Pools     map[string]numbers            `json:"pools,omitempty"`
	Servers   map[string]map[string]numbers `json:"servers,omitempty"`
}

// numbers are a Row by columns, without the zeros at its end.
type numbers []uint64

// columns are the names of a Row's numbers, in their order.
func columns() []string {
	names := []string{"open", "queued"}
	for c := range haproxy.NumCounters {
		names = append(names, c.String())
	}
	return names
}

func numbersOf(r Row) numbers {
	all := append(numbers{r.Open, r.Queued}, r.Counters[:]...)
	for len(all) > 0 && all[len(all)-1] == 0 {
		all = all[:len(all)-1]
	}
	return all
}

// places says for each column of a text which number of a Row it is, -1 for none.
type places []int

func placesOf(names []string) places {
	at := map[string]int{}
	for i, name := range columns() {
		at[name] = i
	}
	p := make(places, len(names))
	for i, name := range names {
		p[i] = -1
		if n, ok := at[name]; ok {
			p[i] = n
			delete(at, name) // a name that stands twice counts once
		}
	}
	return p
}

func (p places) row(list numbers) (r Row, err error) {
	if len(list) > len(p) {
		return r, fmt.Errorf("read figures: %d numbers for %d columns", len(list), len(p))
	}
	for i, n := range list {
		switch at := p[i]; at {
		case -1:
		case 0:
			r.Open = n
		case 1:
			r.Queued = n
		default:
			r.Counters[at-2] = n
		}
	}
	return r, nil
}

// MarshalJSON writes equal figures equally.
func (f Figures) MarshalJSON() ([]byte, error) {
	out := figuresJSON{Since: f.Since, Columns: columns(), Total: numbersOf(f.Total), Frontends: allNumbers(f.Frontends), Pools: allNumbers(f.Pools)}
	if len(f.Servers) > 0 {
		out.Servers = make(map[string]map[string]numbers, len(f.Servers))
	}
	for pool, servers := range f.Servers {
		out.Servers[pool] = allNumbers(servers)
	}
	return json.Marshal(out)
}

// UnmarshalJSON passes over columns that it does not know.
func (f *Figures) UnmarshalJSON(text []byte) error {
	var in figuresJSON
	err := json.Unmarshal(text, &in)
	p := placesOf(in.Columns)
	*f = Figures{Since: in.Since, Servers: map[string]map[string]Row{}}
	if err == nil {
		f.Total, err = p.row(in.Total)
	}
	if err == nil {
		f.Frontends, err = p.rows(in.Frontends)
	}
	if err == nil {
		f.Pools, err = p.rows(in.Pools)
	}
	for pool, servers := range in.Servers {
		if err == nil {
			f.Servers[pool], err = p.rows(servers)
		}
	}
	return err
}

func allNumbers(all map[string]Row) map[string]numbers {
	out := make(map[string]numbers, len(all))
	for name, r := range all {
		out[name] = numbersOf(r)
	}
	return out
}

func (p places) rows(all map[string]numbers) (map[string]Row, error) {
	out := make(map[string]Row, len(all))
	for name, list := range all {
		r, err := p.row(list)
		if err != nil {
			return nil, err
		}
		out[name] = r
	}
	return out, nil
}
