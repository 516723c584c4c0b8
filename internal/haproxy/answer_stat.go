package haproxy

import (
	"encoding/csv"
	"errors"
	"io"
	"slices"
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
	// CheckCode is the status of an answer to the last check over HTTP, LastCheck what is said of it besides: CheckSaid tells
	// it in words.
	CheckCode                                 int
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
	err := a.table(text, func(names []string) (_ int, err error) {
		col, err = a.statColumns(names)
		rows = make([]StatRow, 0, strings.Count(text, "\n"))
		if err != nil {
			return 0, err
		}
		return slices.Max(col[:]) + 1, nil
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

// Limit is what a row of «show stat» says of limits. Its text is that of the answer.
type Limit struct {
	Proxy, Service string
	Type           StatType
	// SessionLimit is 0 for no limit.
	SessionLimit int
	// Unpublished backends are never chosen by use_backend.
	Unpublished bool
}

// Limits reads the answer of «show stat» as ParseStat does, but only what a Limit holds, and keeps nothing: it gives
// take one for each row, in HAProxy's order. Rows before one that is wrong were given.
func Limits(text string, take func(Limit)) error {
	a := &answer{command: "show stat"}
	var col []int
	return a.table(text, func(names []string) (_ int, err error) {
		if col, err = a.columnsOf(names, "pxname", "svname", "type", "slim", "status"); err != nil {
			return 0, err
		}
		return slices.Max(col) + 1, nil
	}, func(fields []string) error {
		b := Limit{Proxy: fields[col[0]], Service: fields[col[1]], Unpublished: strings.HasSuffix(fields[col[4]], unpublished)}
		for i, to := range []*int{(*int)(&b.Type), &b.SessionLimit} {
			if value := fields[col[2+i]]; value != "" {
				n, err := a.count([]string{"type", "slim"}[i], value)
				if err != nil {
					return err
				}
				*to = n
			}
		}
		if b.Proxy == "" || b.Service == "" || b.Type > StatListener {
			return a.wrong("proxy, service or type is missing or unknown")
		}
		take(b)
		return nil
	})
}

// unpublished ends the status of a backend that is.
const unpublished = " (UNPUB)"

// table reads «show stat» row by row: head is given the names of the columns and says how many of them are wanted at
// least, row is given these of all other rows.
func (a *answer) table(text string, head func(names []string) (wanted int, err error), row func(fields []string) error) error {
	text, ok := strings.CutPrefix(text, "# ")
	if !ok {
		return a.wrong("want # and the names of the columns, not %s", shown(text))
	}
	r := csv.NewReader(strings.NewReader(text))
	r.ReuseRecord = true // FieldsPerRecord 0: every row has as many as the first
	next, want := r.Read, func(int) {}
	line := func() int { n, _ := r.FieldPos(0); return n }
	if !strings.ContainsAny(text, "\"\r") { // then a line is a row, and a comma ends a field
		p := plainRows{rest: text}
		next, line, want = p.read, func() int { return p.line }, func(n int) { p.wanted = n }
	}
	for headed := false; ; headed = true {
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
		if headed {
			err = row(fields)
		} else {
			wanted := 0
			wanted, err = head(fields)
			want(wanted)
		}
		if err != nil {
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
	// wanted is how many fields of a row are given, 0 for all.
	wanted int
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
	more := true
	for more && (p.wanted == 0 || len(p.fields) < p.wanted) {
		var field string
		field, line, more = strings.Cut(line, ",")
		p.fields = append(p.fields, field)
	}
	width := len(p.fields)
	if more {
		width += strings.Count(line, ",") + 1
	}
	if p.width == 0 {
		p.width = width
	}
	if width != p.width {
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
type statPlaces [29]int

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
		{"check_code", nil, &s.CheckCode},
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
	var wanted [len(statPlaces{})]string
	for i, f := range new(StatRow).fields() {
		wanted[i] = f.column
	}
	list, err := a.columnsOf(names, wanted[:]...)
	if err != nil {
		return nil, err
	}
	return (*statPlaces)(list), nil
}

// columnsOf gives the places of columns among the names of all.
func (a *answer) columnsOf(names []string, wanted ...string) ([]int, error) {
	col := make(map[string]int, len(names))
	for i, n := range names {
		if _, twice := col[n]; twice {
			return nil, a.wrong("column %s stands twice", shown(n))
		}
		col[n] = i
	}
	places := make([]int, len(wanted))
	for i, name := range wanted {
		at, ok := col[name]
		if !ok {
			return nil, a.wrong("no column %s", name)
		}
		places[i] = at
	}
	return places, nil
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
	s.Status, s.Unpublished = strings.CutSuffix(s.Status, unpublished)
	return nil
}
