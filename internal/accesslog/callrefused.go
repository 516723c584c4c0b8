package accesslog

import (
	"cmp"
	"strings"
)

// RefusedCall counts calls that were not let through. Service and SLA are empty where no rule says that there are such,
// Client where no EgressClient is meant, Rule where none was found.
type RefusedCall struct {
	CallKey
	Reason   string `json:"reason"`
	Rule     string `json:"rule,omitzero"`
	Requests uint64 `json:"requests"`
}

// refusedRoom is how many of them are told apart; they travel as a whole.
const refusedRoom = 1024

func (r RefusedCall) compare(o RefusedCall) int {
	return cmp.Or(r.CallKey.compare(o.CallKey), strings.Compare(r.Reason, o.Reason), strings.Compare(r.Rule, o.Rule))
}

func (r RefusedCall) plus(o RefusedCall) RefusedCall {
	r.Requests += o.Requests
	return r
}

func (r RefusedCall) since(o RefusedCall) RefusedCall {
	if r.Requests >= o.Requests {
		r.Requests -= o.Requests
	}
	return r
}

func (r RefusedCall) none() bool { return r.Requests == 0 }

// refusedCall finds the counts of a key, which is one with zero requests; those of Other, by their reason, when there is no
// room for more.
func (t *table) refusedCall(key RefusedCall) *RefusedCall {
	long := false
	for _, name := range []string{key.Site, key.Client, key.Service, key.SLA, key.Reason, key.Rule} {
		long = long || len(name) > maxName
	}
	if long {
		key = RefusedCall{CallKey: otherCall, Reason: Other}
	}
	if t.refused[key] == nil && len(t.refused) >= refusedRoom {
		key = RefusedCall{CallKey: otherCall, Reason: key.Reason}
	}
	r := t.refused[key]
	if r == nil {
		made := key
		r = &made
		t.refused[key] = r
	}
	return r
}
