package link

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Table is counters by the names of what they are of. Of a table that builds on an earlier one only the rows travel that
// changed.
type Table struct {
	// Since is when all of them were zero; another time than before says that they began anew.
	Since time.Time `json:"since"`
	// Columns are the names of the rows' numbers, so that versions may differ in what they know.
	Columns []string `json:"columns,omitempty"`
	// Rows are JSON arrays: in turns the place of a column and its number, of those that are not zero.
	Rows map[string]json.RawMessage `json:"rows,omitempty"`
}

// The bounds of a table.
const (
	maxRows    = 10_000
	maxRow     = 16 << 10
	maxRowName = 1 << 10
	maxColumns = 1000
)

// bound gives the table, nil when it is larger than any of ours.
func (t *Table) bound() *Table {
	if t == nil || len(t.Rows) > maxRows || len(t.Columns) > maxColumns {
		return nil
	}
	for name, row := range t.Rows {
		if len(row) > maxRow || len(name) > maxRowName {
			return nil
		}
	}
	return t
}

// after gives what of a table has to travel to who has an earlier one, and which rows are gone.
func (t *Table) after(earlier *Table) (change *Table, gone []string) {
	if t == nil || earlier == nil || !t.Since.Equal(earlier.Since) || !slices.Equal(t.Columns, earlier.Columns) {
		return t, nil
	}
	change = &Table{Since: t.Since}
	for name, row := range t.Rows {
		if was, ok := earlier.Rows[name]; ok && bytes.Equal(was, row) {
			continue
		}
		if change.Rows == nil {
			change.Rows = map[string]json.RawMessage{}
		}
		change.Rows[name] = row
	}
	for name := range earlier.Rows {
		if _, ok := t.Rows[name]; !ok {
			gone = append(gone, name)
		}
	}
	return change, gone
}

// upon gives the table of which t is the change upon an earlier one. Rows that are the same stay the same in memory.
func (t *Table) upon(earlier *Table, gone []string) *Table {
	if t == nil || len(t.Columns) > 0 || earlier == nil {
		return t
	}
	if len(t.Rows) == 0 && len(gone) == 0 {
		return earlier
	}
	rows := make(map[string]json.RawMessage, len(earlier.Rows)+len(t.Rows))
	maps.Copy(rows, earlier.Rows) // what others hold never changes
	for _, name := range gone {
		delete(rows, name)
	}
	maps.Copy(rows, t.Rows)
	if len(rows) > maxRows {
		return earlier
	}
	return &Table{earlier.Since, earlier.Columns, rows}
}
