package haproxy

import (
	"encoding/csv"
	"errors"
	"io"
	"strings"
)

// StatType says what a StatRow is about.
type StatType int

// The kinds of rows of «show stat».
const (
	StatFrontend StatType = 0
	StatBackend  StatType = 1
	StatServer   StatType = 2
	StatListener StatType = 3
)

// StatRow is one row of «show stat», those columns that Weir uses. Numbers are 0 where HAProxy leaves the
// column empty.
type StatRow struct {
	Proxy, Service string
	Type           StatType
	// Status is as HAProxy says it: UP, DOWN, DOWN 1/2, NOLB, MAINT, DRAIN, no check, OPEN.
	Status string
	// Unpublished backends are never chosen by use_backend; Status is without the " (UNPUB)".
	Unpublished bool
	// Sessions are open now, SessionLimit is 0 for no limit, SessionsTotal counts since the start.
	Sessions, SessionLimit, SessionsTotal int
	Queue                                 int
	// Weight is the effective one, in slow start too; UserWeight the one given. Of a backend: the sums.
	Weight, UserWeight int
	Active, Backup     int
	// LastChange is in seconds, since Status last changed.
	LastChange int
	// CheckStatus is as L4OK, L7STS, INI; with "* " in front while the next check runs.
	CheckStatus string
	// LastCheck is what the last check said in words.
	LastCheck                                 string
	Address                                   string
	BytesIn, BytesOut                         int
	ConnectErrors, ResponseErrors             int
	Retries, Redispatches                     int
	Response1xx, Response2xx, Response3xx     int
	Response4xx, Response5xx, ResponsesOthers int
}

// ParseStat reads the answer of «show stat»: rows in HAProxy's order. Columns are found by name, so that new
// ones do no harm.
func ParseStat(text string) ([]StatRow, error) {
	a := &answer{command: "show stat"}
	var col *statPlaces
	var rows []StatRow
	err := a.table(text, func(names []string) (err error) {
		col, err = a.statColumns(names)
		rows = make([]StatRow, 0, strings.Count(text, "\n"))
		return err
	}, func(fields []string) error {
		rows = append(rows, StatRow{})
		var before *StatRow
		if n := len(rows); n > 1 {
			before = &rows[n-2]
		}
		return a.statRow(col, fields, &rows[len(rows)-1], before)
	})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows, nil
}

// table reads «show stat» row by row: head is given the names of the columns, row all others.
func (a *answer) table(text string, head, row func(fields []string) error) error {
	text, ok := strings.CutPrefix(text, "# ")
	if !ok {
		return a.wrong("want # and the names of the columns, not %s", shown(text))
	}
	r := csv.NewReader(strings.NewReader(text))
	r.ReuseRecord = true // FieldsPerRecord 0: every row has as many as the first
	next := r.Read
	line := func() int { n, _ := r.FieldPos(0); return n }
	if !strings.ContainsAny(text, "\"\r") { // then a line is a row, and a comma ends a field
		p := plainRows{rest: text}
		next, line = p.read, func() int { return p.line }
	}
	for take, headed := head, false; ; take, headed = row, true {
		fields, err := next()
		if errors.Is(err, io.EOF) {
			if !headed {
				return a.wrong("no names of columns")
			}
			return nil
		}
		if err != nil {
			var p *csv.ParseError
			if errors.As(err, &p) {
				a.next = p.StartLine
				err = p.Err
			}
			return a.wrong("%v", err)
		}
		a.next = line()
		if err := take(fields); err != nil {
			return err
		}
	}
}

// plainRows reads as a csv.Reader does what has no quotes.
type plainRows struct {
	rest   string
	line   int
	fields []string
	width  int
}

func (p *plainRows) read() ([]string, error) {
	var line string
	for line == "" {
		if p.rest == "" {
			return nil, io.EOF
		}
		p.line++
		line, p.rest, _ = strings.Cut(p.rest, "\n")
	}
	p.fields = p.fields[:0]
	for more := true; more; {
		var field string
		field, line, more = strings.Cut(line, ",")
		p.fields = append(p.fields, field)
	}
	if p.width == 0 {
		p.width = len(p.fields)
	}
	if len(p.fields) != p.width {
		return nil, &csv.ParseError{StartLine: p.line, Line: p.line, Column: 1, Err: csv.ErrFieldCount}
	}
	return p.fields, nil
}

// statField ties a column to its place in a row; exactly one of text and number is set.
type statField struct {
	column string
	text   *string
	number *int
}

// statPlaces are the places of the columns, in the order of StatRow.fields.
type statPlaces [28]int

func (s *StatRow) fields() [len(statPlaces{})]statField {
	return [...]statField{
		{"pxname", &s.Proxy, nil},
		{"svname", &s.Service, nil},
		{"type", nil, (*int)(&s.Type)},
		{"status", &s.Status, nil},
		{"scur", nil, &s.Sessions},
		{"slim", nil, &s.SessionLimit},
		{"stot", nil, &s.SessionsTotal},
		{"qcur", nil, &s.Queue},
		{"weight", nil, &s.Weight},
		{"uweight", nil, &s.UserWeight},
		{"act", nil, &s.Active},
		{"bck", nil, &s.Backup},
		{"lastchg", nil, &s.LastChange},
		{"check_status", &s.CheckStatus, nil},
		{"last_chk", &s.LastCheck, nil},
		{"addr", &s.Address, nil},
		{"bin", nil, &s.BytesIn},
		{"bout", nil, &s.BytesOut},
		{"econ", nil, &s.ConnectErrors},
		{"eresp", nil, &s.ResponseErrors},
		{"wretr", nil, &s.Retries},
		{"wredis", nil, &s.Redispatches},
		{"hrsp_1xx", nil, &s.Response1xx},
		{"hrsp_2xx", nil, &s.Response2xx},
		{"hrsp_3xx", nil, &s.Response3xx},
		{"hrsp_4xx", nil, &s.Response4xx},
		{"hrsp_5xx", nil, &s.Response5xx},
		{"hrsp_other", nil, &s.ResponsesOthers},
	}
}

func (a *answer) statColumns(names []string) (*statPlaces, error) {
	col := make(map[string]int, len(names))
	for i, n := range names {
		if _, twice := col[n]; twice {
			return nil, a.wrong("column %s stands twice", shown(n))
		}
		col[n] = i
	}
	var places statPlaces
	for i, f := range new(StatRow).fields() {
		at, ok := col[f.column]
		if !ok {
			return nil, a.wrong("no column %s", f.column)
		}
		places[i] = at
	}
	return &places, nil
}

// statRow fills in a row. Text is copied, so that the whole answer can go, or is that of the row before.
func (a *answer) statRow(places *statPlaces, fields []string, s, before *StatRow) error {
	to := s.fields()
	if before == nil {
		before = &StatRow{}
	}
	from := before.fields()
	for i := range to {
		value := fields[places[i]]
		switch {
		case to[i].text == nil && value == "":
		case to[i].text == nil:
			n, err := a.count(to[i].column, value)
			if err != nil {
				return err
			}
			*to[i].number = n
		case *from[i].text == value:
			*to[i].text = *from[i].text
		default:
			*to[i].text = strings.Clone(value)
		}
	}
	if s.Proxy == "" || s.Service == "" || s.Type > StatListener {
		return a.wrong("proxy, service or type is missing or unknown")
	}
	s.Status, s.Unpublished = strings.CutSuffix(s.Status, " (UNPUB)")
	return nil
}
