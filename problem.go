package weir

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// Problem is one broken rule: whose, where, what, and what to do.
type Problem struct {
	// Object is "Pool/web-az1", or empty when the text could not be read that far.
	Object string `json:"object,omitempty"`
	// Path is the field, as in spec.listeners[0].port.
	Path string `json:"path,omitempty"`
	// File and Line tell where the text came from, Line from 1; both may be empty.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Message never repeats a secret value.
	Message string `json:"message"`
}

// String gives one line: file:line, object, path, message, as far as known.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" || p.Line > 0 {
		fmt.Fprintf(&b, "%s:%d: ", p.File, p.Line)
	}
	if p.Object != "" {
		b.WriteString(p.Object + ": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Problems collects broken rules. The zero value is empty and ready.
type Problems struct {
	Object string
	list   []Problem
	prefix string
}

// mostProblems bounds what is collected: nobody mends more at once, and a long list of one mistake must not take a
// hundred times its size.
const mostProblems = 10_000

// Add reports a broken rule at path, unless there are very many already.
func (p *Problems) Add(path, format string, args ...any) {
	if len(p.list) >= mostProblems {
		return
	}
	p.list = append(p.list, Problem{Object: p.Object, Path: p.prefix + path, Message: fmt.Sprintf(format, args...)})
}

// Append takes over problems found elsewhere.
func (p *Problems) Append(list ...Problem) { p.list = append(p.list, list...) }

// List gives what was found, by object, then path.
func (p *Problems) List() []Problem {
	sort.SliceStable(p.list, func(i, j int) bool {
		a, b := p.list[i], p.list[j]
		if a.Object != b.Object {
			return a.Object < b.Object
		}
		return a.Path < b.Path
	})
	return p.list
}

// Err is nil when nothing was found, else an *Error of kind Invalid that holds the list.
func (p *Problems) Err() error {
	if len(p.list) == 0 {
		return nil
	}
	return &Error{Kind: Invalid, Message: "the objects break rules", Problems: p.List()}
}

// ErrorKind says what sort of refusal an Error is; the API maps each to one HTTP status.
type ErrorKind string

// The kinds of errors.
const (
	Invalid         ErrorKind = "invalid"         // the input breaks a rule
	NotFound        ErrorKind = "not-found"       // no such object, change or revision
	Conflict        ErrorKind = "conflict"        // it would contradict something that exists
	Stale           ErrorKind = "stale"           // If-Match named another revision than the present one
	Forbidden       ErrorKind = "forbidden"       // the right is missing
	Unauthenticated ErrorKind = "unauthenticated" // no or no valid credential
	TooLarge        ErrorKind = "too-large"       // the input passes a limit
	Unavailable     ErrorKind = "unavailable"     // the store or an agent does not answer now
	Gone            ErrorKind = "gone"            // the revision asked for is no longer kept
)

// Error is a refusal made where the rule is known.
type Error struct {
	Kind     ErrorKind
	Message  string
	Problems []Problem
	Cause    error
}

// Error gives the message and every problem, a line each.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	if e.Cause != nil {
		b.WriteString(": " + e.Cause.Error())
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// KindOf gives the kind of the first *Error in err's chain, empty when there is none.
func KindOf(err error) ErrorKind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// Errorf makes an Error of a kind.
func Errorf(kind ErrorKind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}
