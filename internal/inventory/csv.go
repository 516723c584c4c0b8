package inventory

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"weir"
)

// columns are those that a CSV list can have, by the fields of Entry; the first three and the zone it must have.
var columns = []string{"name", "role", "address", "zone", "clusters", "ports", "weight", "labels"}

const needed = 4

// ReadCSV reads a list of entries whose first line names its columns. Several clusters, ports (http=8080) and labels
// (rack=r12) in one field have blanks or semicolons between. Errors are as of ReadJSON.
func ReadCSV(file string, from io.Reader) (*List, error) {
	l := newList(file)
	in := csv.NewReader(withoutMark(from))
	in.ReuseRecord = true
	head, err := in.Read()
	if err != nil {
		return nil, l.csvError(err)
	}
	fields, err := l.columns(head)
	if err != nil {
		return nil, err
	}
	for number := 0; ; number++ {
		row, err := in.Read()
		if err == io.EOF {
			return l, nil
		}
		if err != nil {
			return nil, l.csvError(err)
		}
		line, _ := in.FieldPos(0)
		if number >= MostEntries {
			return nil, l.tooMany(line)
		}
		l.addRow(place{number, line}, fields, row)
	}
}

// withoutMark leaves out the mark that spreadsheets begin UTF-8 with.
func withoutMark(from io.Reader) io.Reader {
	in := bufio.NewReader(from)
	if mark, _ := in.Peek(3); string(mark) == "\ufeff" {
		_, _ = in.Discard(3)
	}
	return in
}

// columns gives the field of each column.
func (l *List) columns(head []string) ([]string, error) {
	fields := make([]string, len(head))
	for i, title := range head {
		fields[i] = strings.ToLower(strings.TrimSpace(title))
		at := slices.Index(columns, fields[i])
		switch {
		case at < 0:
			return nil, l.unreadable(1, "there is no field "+strconv.Quote(clip(title))+" for that column; the fields are "+strings.Join(columns, ", "))
		case slices.Contains(fields[:i], fields[i]):
			return nil, l.unreadable(1, "column "+fields[i]+" is there twice")
		}
	}
	for _, field := range columns[:needed] {
		if !slices.Contains(fields, field) {
			return nil, l.unreadable(1, "column "+field+" is missing; the first line names the columns, of "+strings.Join(columns, ", "))
		}
	}
	return fields, nil
}

func (l *List) addRow(at place, fields, row []string) {
	size := 0
	for i := range row {
		size += len(row[i])
	}
	if l.tooLong(at, size) {
		return
	}
	var e Entry
	var unread []weir.Problem
	for i, field := range fields {
		if message := e.set(field, strings.TrimSpace(row[i])); message != "" {
			unread = append(unread, weir.Problem{Path: field, Line: at.line, Message: message})
		}
	}
	l.add(at, &e, unread)
}

// set reads one field out of text, and says what is wrong with it.
func (e *Entry) set(field, text string) string {
	text = strings.Clone(text) // the row is one piece of memory
	switch field {
	case "name":
		e.Name = text
	case "role":
		e.Role = text
	case "zone":
		e.Zone = text
	case "address":
		return e.setAddress(text)
	case "clusters":
		e.Clusters = parts(text)
	case "ports":
		return e.setPorts(parts(text))
	case "labels":
		return e.setLabels(parts(text))
	case "weight":
		return e.setWeight(text)
	}
	return ""
}

func (e *Entry) setAddress(text string) string {
	if text == "" {
		return "is required"
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return strconv.Quote(clip(text)) + " is no IP address"
	}
	e.Address = a
	return ""
}

func (e *Entry) setWeight(text string) string {
	if text == "" {
		return ""
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return strconv.Quote(clip(text)) + " must be a whole number"
	}
	e.Weight = &n
	return ""
}

func (e *Entry) setPorts(list []string) string {
	for _, part := range list {
		name, number, ok := strings.Cut(part, "=")
		var port weir.Port
		if !ok {
			return strconv.Quote(clip(part)) + " must be a name and a port, as http=8080"
		}
		if err := port.UnmarshalText([]byte(number)); err != nil {
			return err.Error()
		}
		if _, twice := e.Ports[name]; twice {
			return strconv.Quote(clip(name)) + " is set twice"
		}
		if e.Ports == nil {
			e.Ports = map[string]weir.Port{}
		}
		e.Ports[name] = port
	}
	return ""
}

func (e *Entry) setLabels(list []string) string {
	for _, part := range list {
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			return strconv.Quote(clip(part)) + " must be a key and a value, as rack=r12"
		}
		if _, twice := e.Labels[key]; twice {
			return strconv.Quote(clip(key)) + " is set twice"
		}
		if e.Labels == nil {
			e.Labels = map[string]string{}
		}
		e.Labels[key] = value
	}
	return ""
}

func parts(text string) []string {
	list := strings.FieldsFunc(text, func(r rune) bool { return r == ';' || unicode.IsSpace(r) })
	if len(list) == 0 {
		return nil
	}
	return list
}

func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

func (l *List) csvError(err error) error {
	var syntax *csv.ParseError
	switch {
	case err == io.EOF:
		return l.unreadable(1, "is empty; the first line names the columns, of "+strings.Join(columns, ", "))
	case errors.As(err, &syntax) && errors.Is(err, csv.ErrFieldCount):
		return l.unreadable(syntax.StartLine, "has another number of fields than the first line")
	case errors.As(err, &syntax):
		return l.unreadable(syntax.Line, syntax.Err.Error())
	}
	return err
}
