package link

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"weir"
	"weir/internal/secrets"
)

// problem is an RFC 9457 answer.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Code is one word for machines.
	Code string `json:"code"`
}

// refusal is an answer other than success.
type refusal struct {
	status int
	code   string
	detail string
	retry  time.Duration // a hint, 0 for none
	cause  error         // for our log only
}

func (r *refusal) Error() string { return r.detail }
func (r *refusal) Unwrap() error { return r.cause }

// The words that the client understands.
const (
	codeExpired = "certificate-expired"
	codeFull    = "send-full"
	codeBehind  = "behind"
	codeHeld    = "held"
)

func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status: status, code: code, detail: fmt.Sprintf(format, args...)}
}

func (r *refusal) after(d time.Duration) *refusal { r.retry = d; return r }

// refusalOf turns what a callback said into an answer. Only *weir.Error is meant for the other side.
func refusalOf(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	var e *weir.Error
	if !errors.As(err, &e) {
		return &refusal{status: http.StatusServiceUnavailable, code: string(weir.Unavailable), detail: "the control plane can't answer this now; its log says why", retry: time.Second, cause: err}
	}
	statuses := map[weir.ErrorKind]int{
		weir.Invalid: http.StatusBadRequest, weir.NotFound: http.StatusNotFound, weir.Conflict: http.StatusConflict,
		weir.Stale: http.StatusPreconditionFailed, weir.Forbidden: http.StatusForbidden,
		weir.Unauthenticated: http.StatusUnauthorized, weir.TooLarge: http.StatusRequestEntityTooLarge,
		weir.Gone: http.StatusGone,
	}
	status, ok := statuses[e.Kind]
	if !ok {
		status = http.StatusServiceUnavailable
	}
	return &refusal{status: status, code: string(e.Kind), detail: secrets.RedactTokens(e.Error()), cause: err}
}

func (r *refusal) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/problem+json")
	if r.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(r.retry.Round(time.Second).Seconds()))))
	}
	w.WriteHeader(r.status)
	_ = json.NewEncoder(w).Encode(problem{http.StatusText(r.status), r.status, r.detail, r.code})
}

// readRefusal gives the error that an answer stands for.
func readRefusal(resp *http.Response) *refusal {
	r := &refusal{status: resp.StatusCode, detail: resp.Status}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	var p problem
	if err == nil && json.Unmarshal(body, &p) == nil && p.Detail != "" {
		r.code, r.detail = p.Code, p.Detail
	}
	return r
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // an error means that the other side is gone
}
