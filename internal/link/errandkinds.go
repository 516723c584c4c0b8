package link

import (
	"encoding/json"
	"net/netip"
	"time"

	"weir/internal/ir"
)

// LogErrand is the kind of errand that gives the lines of one site's log: recent ones, then each as it comes, for as long
// as the errand may take. Its body is a LogAsk, each line of the answer a LogAnswer.
const LogErrand = "log"

// LogAsk says which lines are wanted; what is empty is any.
type LogAsk struct {
	// Site is never empty.
	Site   string       `json:"site"`
	Pool   string       `json:"pool,omitempty"`
	Zone   string       `json:"zone,omitempty"`
	Status int          `json:"status,omitempty"` // a status, or 1 to 5 for a class
	Method string       `json:"method,omitempty"`
	Path   string       `json:"path,omitempty"` // what it begins with
	Client netip.Prefix `json:"client,omitzero"`
	Errors bool         `json:"errors,omitempty"`
	Since  time.Time    `json:"since,omitzero"`
	// Recent is how many lines of before are wanted at most.
	Recent int `json:"recent,omitempty"`
	// Run and After say where an answer before left off, as LogAnswer has them.
	Run   string `json:"run,omitempty"`
	After uint64 `json:"after,omitempty"`
	// Follow wants later lines, too.
	Follow bool `json:"follow,omitempty"`
}

// LogAnswer is some lines, or what became of others.
type LogAnswer struct {
	Entries []json.RawMessage `json:"entries,omitempty"`
	// Left counts lines that were left out since the answer before, because there were too many.
	Left int `json:"left,omitempty"`
	// Live says that the recent lines were given.
	Live bool `json:"live,omitempty"`
	// Run and After are where this leaves off: lines are numbered in each run of an agent.
	Run   string `json:"run,omitempty"`
	After uint64 `json:"after,omitempty"`
}

// TryErrand is the kind of errand that runs the check of a pool's servers once, by a HAProxy beside the one that serves. Its
// body is a TryAsk, each line of the answer a TryAnswer.
const TryErrand = "try"

// TryAsk is a node of nothing but one pool, with the certificates that it names: an agent that does not understand all of
// it refuses it.
type TryAsk struct {
	Node ir.Node `json:"node"`
}

// TryAnswer is what the check of one server said.
type TryAnswer struct {
	Server string `json:"server"`
	Passed bool   `json:"passed,omitempty"`
	// Status is HAProxy's word, as L7OK; empty when the check was not over in time.
	Status string `json:"status,omitempty"`
	Code   int    `json:"code,omitempty"`
	TookMs int    `json:"tookMs,omitempty"`
	Said   string `json:"said,omitempty"`
}
