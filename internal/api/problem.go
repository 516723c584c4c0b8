package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"weir"
	"weir/internal/secrets"
)

// Problem is the body of every refusal, application/problem+json as RFC 9457 has it.
type Problem struct {
	// Type is a URN that names the kind of refusal; it does not change between versions.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what is wrong and what to do.
	Detail string `json:"detail"`
	// Instance names the request; the server's log line of it has the same.
	Instance string `json:"instance"`
	// Errors are the broken rules, one each, as far as there are any.
	Errors []weir.Problem `json:"errors,omitempty"`
	// Omitted counts errors that were left out because there are too many.
	Omitted int `json:"omitted,omitempty"`
}

// problemTypes is what comes before the kind in Problem.Type.
const problemTypes = "urn:weir:problem:"

// maxErrors is how many broken rules one answer lists.
const maxErrors = 1000

// Kinds of refusals that only HTTP has; the others are package weir's.
const (
	noRoute       weir.ErrorKind = "no-route"
	wrongMethod   weir.ErrorKind = "method-not-allowed"
	wrongType     weir.ErrorKind = "unsupported-media-type"
	tooMany       weir.ErrorKind = "too-many-requests"
	slowBody      weir.ErrorKind = "request-timeout"
	internalFault weir.ErrorKind = "internal"
)

// statuses is the one place where a kind of error gets its HTTP status.
var statuses = map[weir.ErrorKind]int{
	weir.Invalid:         http.StatusBadRequest,
	weir.NotFound:        http.StatusNotFound,
	weir.Conflict:        http.StatusConflict,
	weir.Stale:           http.StatusPreconditionFailed,
	weir.Forbidden:       http.StatusForbidden,
	weir.Unauthenticated: http.StatusUnauthorized,
	weir.TooLarge:        http.StatusRequestEntityTooLarge,
	weir.Unavailable:     http.StatusServiceUnavailable,
	weir.Gone:            http.StatusGone,
	noRoute:              http.StatusNotFound,
	wrongMethod:          http.StatusMethodNotAllowed,
	wrongType:            http.StatusUnsupportedMediaType,
	tooMany:              http.StatusTooManyRequests,
	slowBody:             http.StatusRequestTimeout,
	internalFault:        http.StatusInternalServerError,
}

// problemOf makes an error public. What is no *weir.Error was not meant for clients: they learn that it failed,
// the log learns why.
func problemOf(err error, instance string) Problem {
	kind, e := publicKind(err)
	p := Problem{Type: problemTypes + string(kind), Status: statuses[kind], Instance: instance}
	p.Title = http.StatusText(p.Status)
	switch {
	case e == nil:
		p.Detail = "the server failed to answer; its log says why under the instance given here"
	case kind == weir.Unavailable:
		// The cause names machines and files of ours.
		p.Detail = e.Message
	default:
		p.Detail, p.Errors = messageOf(err, e), e.Problems
	}
	p.Detail = secrets.RedactTokens(p.Detail)
	if len(p.Errors) > maxErrors {
		p.Errors, p.Omitted = p.Errors[:maxErrors:maxErrors], len(p.Errors)-maxErrors
	}
	p.Errors = quiet(p.Errors)
	return p
}

func publicKind(err error) (weir.ErrorKind, *weir.Error) {
	var e *weir.Error
	if !errors.As(err, &e) {
		return internalFault, nil
	}
	if _, ok := statuses[e.Kind]; !ok {
		return internalFault, nil
	}
	return e.Kind, e
}

// messageOf gives what is said before the list of problems, with what was wrapped around it.
func messageOf(err error, e *weir.Error) string {
	message := e.Message
	if around, ok := strings.CutSuffix(err.Error(), e.Error()); ok {
		message = around + message
	}
	return message
}

// quiet takes out of messages what a YAML reader quotes of a text that may hold secrets, and tokens.
func quiet(list []weir.Problem) []weir.Problem {
	out := make([]weir.Problem, len(list))
	for i, p := range list {
		if strings.HasPrefix(p.Message, "unknown anchor") {
			p.Message = "anchors and aliases are not read; write the value out, in quotes if it begins with '*' or '&'"
		}
		p.Message, p.Path = secrets.RedactTokens(p.Message), secrets.RedactTokens(p.Path)
		out[i] = p
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// write sends the problem.
func (p Problem) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Del("ETag")
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="weir"`)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // an error means that the other side is gone
}

func invalid(format string, args ...any) error { return weir.Errorf(weir.Invalid, format, args...) }

// queryProblem refuses a query parameter; it quotes at most a little of the value.
func queryProblem(name, value, want string) error {
	return &weir.Error{Kind: weir.Invalid, Message: "the request's query can't be read", Problems: []weir.Problem{
		{Path: "query." + name, Message: fmt.Sprintf("%q must be %s", shorten(value), want)},
	}}
}

// shorten bounds what is quoted of a client's words.
func shorten(value string) string {
	if len(value) > 80 {
		return value[:80] + "…"
	}
	return value
}
