package inventory

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"weir"
)

// ReadJSON reads a list of entries, one at a time: [{"name": "web-1", …}, …]. Broken rules are the list's Problems; an
// error is one of reading, or *weir.Error where the rest can't be understood.
func ReadJSON(file string, from io.Reader) (*List, error) {
	l, lines := newList(file), &lineCounter{from: from}
	in := json.NewDecoder(lines)
	begin, err := in.Token()
	if err != nil {
		return nil, l.jsonError(err, lines)
	}
	if begin != json.Delim('[') {
		return nil, l.unreadable(1, "must be a list of servers: [{\"name\": \"web-1\", …}, …]")
	}
	for number := 0; in.More(); number++ {
		var raw json.RawMessage
		if err := in.Decode(&raw); err != nil {
			return nil, l.jsonError(err, lines)
		}
		at := place{number, lines.at(in.InputOffset() - int64(len(raw)))}
		if number >= MostEntries {
			return nil, l.tooMany(at.line)
		}
		l.addJSON(at, raw)
	}
	if _, err := in.Token(); err != nil {
		return nil, l.jsonError(err, lines)
	}
	if _, err := in.Token(); err != io.EOF {
		return nil, l.unreadable(lines.at(in.InputOffset()), "there is more behind the list")
	}
	return l, nil
}

func (l *List) addJSON(at place, raw []byte) {
	if l.tooLong(at, len(raw)) {
		return
	}
	var e Entry
	var found weir.Problems
	weir.DecodeValue(l.file, at.line, "", raw, &e, &found)
	l.add(at, &e, found.List())
}

func (l *List) jsonError(err error, lines *lineCounter) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return l.unreadable(lines.at(syntax.Offset-1), "is not JSON from here on")
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return l.unreadable(lines.at(lines.read), "ends in the middle: the export was cut short")
	}
	return err
}

func (l *List) unreadable(line int, message string) error {
	return &weir.Error{Kind: weir.Invalid, Message: "the inventory can't be read; nothing was changed", Problems: []weir.Problem{{File: l.file, Line: line, Message: message}}}
}

func (l *List) tooMany(line int) error {
	return &weir.Error{Kind: weir.TooLarge, Message: "the inventory can't be taken; nothing was changed", Problems: []weir.Problem{{
		File: l.file, Line: line, Message: "more than 100000 servers in one call: send a list for each role",
	}}}
}

// lineCounter notes where lines begin in what is read through it.
type lineCounter struct {
	from io.Reader
	read int64
	ends []int64
}

// Read reads on.
func (c *lineCounter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	for rest, at := p[:n], c.read; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		rest, at = rest[i+1:], at+int64(i)+1
		c.ends = append(c.ends, at-1)
	}
	c.read += int64(n)
	return n, err
}

// at gives the line, from 1, of a byte.
func (c *lineCounter) at(offset int64) int {
	i, _ := slices.BinarySearch(c.ends, offset)
	return i + 1
}
