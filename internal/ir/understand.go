package ir

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// ErrUnknownKind says that a resource is of a kind that this version does not know.
var ErrUnknownKind = errors.New("is of a kind that this version does not know")

// Understand says what of a resource this version does not know: its kind, a field, the form of a value. A newer control
// plane means something by it, so nobody may do as if it were not there.
func Understand(r *Resource) error {
	kind, _, _ := strings.Cut(r.ID, "/")
	switch kind {
	case "self":
		return strictly[Self](r)
	case "group":
		return strictly[Group](r)
	case "tuning":
		return strictly[Tuning](r)
	case "address":
		return strictly[Address](r)
	case "site":
		return strictly[Site](r)
	case "pool":
		return strictly[Pool](r)
	case "server":
		return strictly[Server](r)
	case "list":
		return strictly[AccessList](r)
	case "map":
		return strictly[Map](r)
	case "page":
		return strictly[Page](r)
	case "shift":
		return strictly[Shift](r)
	case "split":
		return strictly[Split](r)
	case "schedule":
		return strictly[Schedule](r)
	case "client":
		return strictly[EgressClient](r)
	case "sla":
		return strictly[SLA](r)
	case "rule":
		return strictly[EgressRule](r)
	case "limit":
		return strictly[RateLimit](r)
	case "logic":
		return strictly[Logic](r)
	case "certificate":
		return strictly[Certificate](r)
	case "challenge":
		return strictly[Challenge](r)
	}
	return ErrUnknownKind
}

// Needed says of a resource that nothing can be done without it; of what is not understood in it the rest counts.
func Needed(id string) bool { return id == "self" || id == "group" }

func strictly[T any](r *Resource) error {
	if r.Certificate != nil {
		return nil // there is no text that could say more
	}
	d := json.NewDecoder(bytes.NewReader(r.JSON()))
	d.DisallowUnknownFields()
	err := d.Decode(new(T))
	if err == nil {
		return nil
	}
	// Without the body's text, which is long and tells nothing more.
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return errors.New("has the field " + field + ", which this version does not know")
	}
	return errors.New("has a value of a form that this version does not know")
}
