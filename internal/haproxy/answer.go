package haproxy

import (
	"fmt"
	"strconv"
	"strings"
)

// AnswerError says that an answer of HAProxy's run-time socket is not of the form that this package knows.
// Nothing of such an answer is used.
type AnswerError struct {
	// Command is what was asked, as "show map".
	Command string
	// Line counts from 1.
	Line int
	// Reason says what was expected instead.
	Reason string
}

// Error gives command, line and reason.
func (e *AnswerError) Error() string {
	return fmt.Sprintf("read answer of %q: line %d: %s", e.Command, e.Line, e.Reason)
}

// answer walks through an answer line by line and names the place of whatever is wrong.
type answer struct {
	command string
	lines   []string
	next    int // index of the line after the current one
}

// read splits an answer; the empty lines that end it are no lines.
func read(command, text string) *answer {
	text = strings.TrimRight(text, "\n")
	a := &answer{command: command}
	if text != "" {
		a.lines = strings.Split(text, "\n")
	}
	return a
}

// line gives the next line, false at the end.
func (a *answer) line() (string, bool) {
	if a.next >= len(a.lines) {
		return "", false
	}
	a.next++
	return a.lines[a.next-1], true
}

// wrong is an error at the current line.
func (a *answer) wrong(format string, args ...any) error {
	return &AnswerError{Command: a.command, Line: max(a.next, 1), Reason: fmt.Sprintf(format, args...)}
}

// header takes the next line, which must be exactly want.
func (a *answer) header(want string) error {
	got, ok := a.line()
	if !ok {
		return a.wrong("empty answer, want %q", want)
	}
	if got != want {
		return a.wrong("want %q, not %s", want, shown(got))
	}
	return nil
}

// count reads a number that cannot be negative.
func (a *answer) count(what, s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || s[0] == '+' {
		return 0, a.wrong("%s: want a number, not %s", what, shown(s))
	}
	return n, nil
}

// shown quotes a part of an answer for an error, not more of it than one reads.
func shown(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}
