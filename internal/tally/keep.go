package tally

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"weir/internal/haproxy"
)

// kept is a Book on disk. The sessions of now are left out.
type kept struct {
	Since   time.Time    `json:"since"`
	Columns []string     `json:"columns"`
	Total   numbers      `json:"total"`
	Turn    uint64       `json:"turn"`
	Sums    []keptRow    `json:"sums"`
	Workers []keptWorker `json:"workers"`
}

type keptRow struct {
	Kind    haproxy.StatType `json:"t,omitempty"`
	Proxy   string           `json:"p"`
	Name    string           `json:"s,omitempty"`
	Numbers numbers          `json:"n,omitempty"`
	Gone    uint64           `json:"gone,omitempty"`
}

type keptWorker struct {
	Worker
	Rows []keptRow `json:"rows"`
}

// MarshalJSON writes all that a book needs to go on.
func (b *Book) MarshalJSON() ([]byte, error) {
	k := kept{Since: b.since, Columns: columns(), Total: numbersOf(Row{Counters: b.total}), Turn: b.turn}
	for at, sum := range b.sums {
		k.Sums = append(k.Sums, keptRow{at.kind, at.proxy, at.name, numbersOf(Row{Counters: sum}), b.gone[at]})
	}
	sortRows(k.Sums)
	for _, w := range b.Workers() {
		of := keptWorker{Worker: w}
		for at, r := range b.last[w] {
			of.Rows = append(of.Rows, keptRow{Kind: at.kind, Proxy: at.proxy, Name: at.name, Numbers: numbersOf(Row{Counters: r.Counters})})
		}
		sortRows(of.Rows)
		k.Workers = append(k.Workers, of)
	}
	return json.Marshal(k)
}

// UnmarshalJSON reads what MarshalJSON has written, here or in another version; what is no book is an error and leaves
// the book as it was.
func (b *Book) UnmarshalJSON(text []byte) error {
	var k kept
	if err := json.Unmarshal(text, &k); err != nil {
		return fmt.Errorf("read book of counters: %w", err)
	}
	p, into := placesOf(k.Columns), NewBook(k.Since)
	total, err := p.row(k.Total)
	if err != nil {
		return err
	}
	into.total, into.turn = total.Counters, k.Turn
	for _, s := range k.Sums {
		at, r, err := s.read(p)
		if err != nil {
			return err
		}
		into.sums[at] = r.Counters
		if s.Gone > 0 {
			into.gone[at] = s.Gone
		}
	}
	for _, w := range k.Workers {
		rows := make(map[key]Row, len(w.Rows))
		for _, s := range w.Rows {
			at, r, err := s.read(p)
			if err != nil {
				return err
			}
			rows[at] = r
		}
		into.last[w.Worker] = rows
	}
	*b = *into
	return nil
}

func (s keptRow) read(p places) (key, Row, error) {
	r, err := p.row(s.Numbers)
	if err == nil && (s.Kind < 0 || s.Kind > haproxy.StatServer || s.Proxy == "" || (s.Kind == haproxy.StatServer) != (s.Name != "")) {
		err = fmt.Errorf("read book of counters: no row is of kind %d and named %q %q", s.Kind, s.Proxy, s.Name)
	}
	return key{s.Kind, s.Proxy, s.Name}, Row{Counters: r.Counters}, err
}

func sortRows(rows []keptRow) {
	slices.SortFunc(rows, func(a, b keptRow) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Proxy, b.Proxy), cmp.Compare(a.Name, b.Name))
	})
}
